// Tells the application whose page this frame is in that nobody is signed in here (Casdoor's silent sign-in).
const { target, outcome } = document.currentScript.dataset
window.parent.postMessage({ tag: 'Casdoor', type: 'SilentSignin', data: outcome }, target)
