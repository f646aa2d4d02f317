// Makes calls of Casdoor's Node SDK and prints what came of each, as JSON; without calls, which there are,
// and which its SDK for browsers has.
//
// Standard input: {"config": {…}, "calls": [[method, arguments], …]}.
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import sdk from 'casdoor-nodejs-sdk'

console.log = console.error // one of its methods prints what it sends
const asked = JSON.parse(await text(process.stdin))
const own = (kind) => Object.getOwnPropertyNames(kind.prototype).filter((name) => name !== 'constructor')
if (asked.calls === null) {
  const browser = createRequire(import.meta.url)('casdoor-js-sdk')
  process.stdout.write(JSON.stringify([own(sdk.SDK), own(browser.default)]))
  process.exit()
}
const client = new sdk.SDK(asked.config)
const outcomes = []
for (const [method, given] of asked.calls) {
  try {
    const found = await client[method](...given)
    // An answer of axios, or what the SDK made of it.
    outcomes.push(found?.config ? { status: found.status, value: found.data } : { value: found })
  } catch (error) {
    outcomes.push({ status: error.response?.status, value: error.response?.data, error: String(error) })
  }
}
process.stdout.write(JSON.stringify(outcomes))
