// A js-libp2p peer for SilkTalk's interoperation tests: prints one JSON line when it listens, then takes one
// JSON command per line on standard input and answers each with one JSON line; ends with its input.
// Commands run side by side, so answers may come in another order: the "id" joins them.
import { readFileSync, writeFileSync, existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { createLibp2p } from 'libp2p'
import { tcp } from '@libp2p/tcp'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify, identifyPush } from '@libp2p/identify'
import { ping } from '@libp2p/ping'
import { preSharedKey } from '@libp2p/pnet'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import { commands } from './commands.js'
import { serve } from './serve.js'
import { Files } from './silktalk-file.js'
import { Messages } from './silktalk-message.js'

const KEY_TYPES = { ed25519: 'Ed25519', secp256k1: 'secp256k1', rsa: 'RSA' }

const { values: options } = parseArgs({
  options: {
    listen: { type: 'string', multiple: true, default: [] },
    'key-type': { type: 'string', default: 'ed25519' },
    'rsa-bits': { type: 'string', default: '2048' },
    'key-file': { type: 'string' }, // libp2p protobuf private key, created if it is missing
    psk: { type: 'string' } // swarm.key of a private network
  }
})

function say (answer) {
  process.stdout.write(JSON.stringify(answer) + '\n')
}

async function loadKey () {
  const file = options['key-file']
  if (file !== undefined && existsSync(file)) return privateKeyFromProtobuf(readFileSync(file))
  const type = KEY_TYPES[options['key-type']]
  if (type === undefined) throw new Error(`js-libp2p has no peer ids of key type ${options['key-type']}`)
  const key = await generateKeyPair(type, Number(options['rsa-bits']))
  if (file !== undefined) writeFileSync(file, privateKeyToProtobuf(key), { mode: 0o600 })
  return key
}

async function start () {
  const node = await createLibp2p({
    privateKey: await loadKey(),
    nodeInfo: { userAgent: 'silktalk-interop-js/1.0.0' },
    addresses: { listen: options.listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionProtector: options.psk && preSharedKey({ psk: readFileSync(options.psk), timeout: 10_000 }),
    connectionManager: { maxConnections: 1000, inboundConnectionThreshold: 1000, maxIncomingPendingConnections: 500 },
    services: { identify: identify(), push: identifyPush(), ping: ping() }
  })
  await serve(node)
  const messages = new Messages(node)
  await messages.start()
  const files = new Files(node)
  await files.start()
  const identified = new Map()
  const pushes = new Map()
  node.addEventListener('peer:identify', (e) => {
    const id = e.detail.peerId.toString()
    if (identified.has(id)) pushes.set(id, (pushes.get(id) ?? 0) + 1)
    identified.set(id, e.detail)
  })
  return { node, messages, files, identified, pushes }
}

async function answer (peer, line) {
  let command = { id: null }
  try {
    command = JSON.parse(line)
    const run = commands[command.cmd]
    if (run === undefined) throw new Error(`unknown command ${command.cmd}`)
    say({ ...await run(peer, command), id: command.id, ok: true })
  } catch (error) {
    say({ id: command.id, ok: false, error: `${error.name}: ${error.message}` })
  }
}

try {
  const peer = await start()
  say({ ready: true, peer_id: peer.node.peerId.toString(), addrs: peer.node.getMultiaddrs().map(String) })
  const lines = createInterface({ input: process.stdin })
  lines.on('line', (line) => { if (line !== '') answer(peer, line) })
  lines.on('close', async () => {
    await Promise.race([peer.node.stop(), new Promise((resolve) => setTimeout(resolve, 2000))])
    process.exit(0)
  })
} catch (error) {
  say({ ready: false, error: error.message })
  console.error('js-peer:', error.message)
  process.exit(1)
}
