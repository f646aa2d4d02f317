// In a window that an application has opened: passes the answer on to the application's page, as Casdoor's
// SDK for browsers reads it. Nobody but a page of the registered address's origin is told anything.
const { target, channel, waits, code, state } = document.querySelector('#popup').dataset
let told = false

function tell(message) {
  if (told) return
  told = true
  window.opener?.postMessage(message, target)
}
const success = (answer) => tell({ type: 'loginSuccess', data: { code: answer.code, state: answer.state } })
const failure = () => tell({ type: 'windowClosed' })

if (waits) {
  const link = document.querySelector('#continue')
  link.addEventListener('click', () => { document.querySelector('#waiting').hidden = false })
  new BroadcastChannel(`iam-window-${channel}`).onmessage = ({ data }) => data.code ? success(data) : failure()
  window.addEventListener('pagehide', failure)
} else if (code) {
  success({ code, state })
} else {
  failure()
}
