// At the end of a sign-in in a window of its own: gives the answer to the page of ours that opened it, which
// has the same origin and waits on this channel, and closes where the browser lets it.
const { channel, code, state } = document.querySelector('#window').dataset
new BroadcastChannel(`iam-window-${channel}`).postMessage({ code, state })
window.close()
