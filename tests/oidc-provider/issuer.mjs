// An OpenID provider on a free loopback port, for tests. It prints one line of JSON when it listens.
//
// Whoever comes to log in is logged in at once: which claims the ID token has is said by the login hint, JSON as it is.
// `POST /-/rotate` replaces its keys by new ones.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import { Provider } from 'oidc-provider';

const CLIENT = 'rolecall';
const REDIRECT = 'https://client.example/back';
const NAMES = ['jti', 'nbf', 'repository', 'repository_owner', 'ref', 'environment', 'project_path', 'ref_path',
  'ref_protected', 'groups_direct'];

const accounts = new Map();
let generation = 0;

function newKeys() {
  generation += 1;
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const { privateKey: curve } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { keys: [
    { ...privateKey.export({ format: 'jwk' }), kid: `rsa-${generation}`, use: 'sig', alg: 'RS256' },
    { ...curve.export({ format: 'jwk' }), kid: `ec-${generation}`, use: 'sig', alg: 'ES256' },
  ] };
}

function provider(issuer) {
  return new Provider(issuer, {
    jwks: newKeys(),
    clients: ['RS256', 'ES256'].map((algorithm) => ({
      client_id: `${CLIENT}-${algorithm}`,
      redirect_uris: [REDIRECT],
      response_types: ['code'],
      grant_types: ['authorization_code'],
      token_endpoint_auth_method: 'none',
      id_token_signed_response_alg: algorithm,
    })),
    claims: { openid: ['sub'], ci: NAMES },
    scopes: ['openid', 'ci'],
    conformIdTokenClaims: false,
    pkce: { required: () => false },
    cookies: { keys: ['for tests alone'] },
    features: { devInteractions: { enabled: false } },
    ttl: { IdToken: 300, Session: 3600, Interaction: 3600, Grant: 3600 },
    interactions: { url: (_, interaction) => `/-/interaction/${interaction.uid}` },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...accounts.get(id), sub: id }) }),
  });
}

// The log-in and the consent of somebody who agrees to everything.
async function agree(op, request, response) {
  const { prompt, params, session } = await op.interactionDetails(request, response);
  if (prompt.name === 'login') {
    const { sub, ...claims } = JSON.parse(params.login_hint);
    accounts.set(sub, claims);
    return op.interactionFinished(request, response, { login: { accountId: sub } });
  }
  const grant = new op.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope(params.scope);
  return op.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

const server = createServer((request, response) => {
  if (request.url.startsWith('/-/interaction/')) {
    agree(current, request, response).catch((error) => response.writeHead(500).end(String(error)));
  } else if (request.url === '/-/rotate' && request.method === 'POST') {
    current = provider(issuer);
    response.end('rotated');
  } else {
    current.callback()(request, response);
  }
});
let issuer;
let current;
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  current = provider(issuer);
  console.log(JSON.stringify({ issuer }));
});
// Whoever started it holds its standard input: it does not outlive them.
process.stdin.on('end', () => process.exit(0)).resume();
