// Writes what an old JavaScript installation has: identity.key in the form that is asked for, made by js-libp2p
// itself, and prints the Peer ID. Usage: old-install.js FORM FILE; FORM: protobuf base64 json pem raw seed hex
import { createPrivateKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { generateKeyPair, privateKeyToProtobuf, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'

const [form, file, kind = 'Ed25519'] = process.argv.slice(2)
const key = await generateKeyPair(kind)
const id = peerIdFromPrivateKey(key).toString()
const message = Buffer.from(privateKeyToProtobuf(key))
const seed = Buffer.from(key.raw).subarray(0, 32)

function pem () {
  const jwk = { kty: 'OKP', crv: 'Ed25519', d: seed.toString('base64url'), x: Buffer.from(key.publicKey.raw).toString('base64url') }
  return createPrivateKey({ key: jwk, format: 'jwk' }).export({ type: 'pkcs8', format: 'pem' })
}

const forms = {
  protobuf: () => message,
  base64: () => message.toString('base64'),
  json: () => JSON.stringify({ id, privKey: message.toString('base64'), pubKey: Buffer.from(publicKeyToProtobuf(key.publicKey)).toString('base64') }, null, 2),
  pem,
  raw: () => Buffer.from(key.raw),
  seed: () => seed,
  hex: () => message.toString('hex') + '\n'
}
writeFileSync(file, forms[form](), { mode: 0o600 })
process.stdout.write(id + '\n')
