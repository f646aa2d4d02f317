// A browser application on Casdoor's JavaScript SDK: PKCE, no secret, an origin of its own.
import Sdk from '/sdk/index.js'

const config = await (await fetch('/config.json')).json()
const sdk = new Sdk({ ...config, storage: sessionStorage })
const state = document.querySelector('#state')
const show = (words) => { state.textContent = words }

async function tell(tokens) {
  const { payload } = sdk.parseAccessToken(tokens.access_token)
  const info = await sdk.getUserInfo(tokens.access_token)
  if (tokens.refresh_token) sessionStorage.setItem('refresh', tokens.refresh_token)
  show(`${payload.owner}/${payload.name} is ${info.preferred_username ?? info.msg}, sid ${payload.sid}`)
}

document.querySelector('#login').onclick = () => sdk.signin_redirect()
document.querySelector('#refresh').onclick = async () => {
  const tokens = await sdk.refreshAccessToken(sessionStorage.getItem('refresh'))
  if (tokens.error) show(`refused: ${tokens.error}`)
  else await tell(tokens)
}
document.querySelector('#silent').onclick = () => {
  sdk.silentSignin(() => show('silently: signed in'), (message) => show(`silently: ${message.data}`))
}
document.querySelector('#popup').onclick = () => {
  sdk.popupSignin(location.origin, undefined, (message) => show(`in the window: ${message}`))
}
document.querySelector('#addresses').textContent = JSON.stringify([
  sdk.getSigninUrl(), sdk.getSignupUrl(), sdk.getSignupUrl(false),
  sdk.getUserProfileUrl('ann'), sdk.getMyProfileUrl(),
])
if (sdk.isSilentSigninRequested()) show('asked silently')
else if (sessionStorage.getItem('token')) await tell({ access_token: sessionStorage.getItem('token') })
else if (new URLSearchParams(location.search).has('code')) {
  if (window !== parent) parent.postMessage({ tag: 'Casdoor', type: 'SilentSignin', data: 'success' }, '*')
  else {
    const tokens = await sdk.exchangeForAccessToken()
    history.replaceState({}, '', '/')
    if (tokens.error) show(`refused: ${tokens.error_description}`)
    else await tell(tokens)
  }
} else {
  show('signed out')
}
