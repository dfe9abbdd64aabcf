"use strict";
/* Who looks: a token of the stack's issuer. It lives in this tab (sessionStorage), never in a URL;
   what renews it lives in memory alone. */
const Login = (() => {
  const TOKEN = "millrace.token", PENDING = "millrace.login";
  let config, token = "", refresh = "", session = "", renewing;

  /** Something that the person at the keyboard can read. */
  class Refused extends Error {}

  async function start(settings) {
    config = settings;
    token = sessionStorage.getItem(TOKEN) || "";
    if (!config.cognito) await returned();
    return current(token);
  }

  const current = (jwt) => Boolean(jwt) && claims(jwt).exp * 1000 > Date.now();

  function claims(jwt) {
    try {
      const bytes = atob(jwt.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
      return JSON.parse(new TextDecoder().decode(Uint8Array.from(bytes, (c) => c.charCodeAt(0))));
    } catch { return {}; }
  }

  function take(jwt, lasting) {
    token = jwt;
    refresh = lasting || refresh;
    sessionStorage.setItem(TOKEN, token);
  }

  function leave() {
    token = refresh = session = "";
    sessionStorage.removeItem(TOKEN);
  }

  /** Whether there is another token than the refused one; false where somebody must log in again.
   *  All that were refused meanwhile wait for the same one. */
  async function renew(refused) {
    if (token && token !== refused) return true;
    renewing ??= renewed().finally(() => { renewing = undefined; });
    return renewing;
  }

  async function renewed() {
    if (!refresh) return false;
    const old = refresh;
    refresh = "";
    try {
      if (config.cognito) {
        const answer = await cognito("InitiateAuth", {
          AuthFlow: "REFRESH_TOKEN_AUTH", AuthParameters: { REFRESH_TOKEN: old },
        });
        take(answer.AuthenticationResult.IdToken, old);
      } else await redeem({ grant_type: "refresh_token", refresh_token: old });
      return true;
    } catch { return false; }
  }

  // ---- Cognito ------------------------------------------------------------------------------

  async function cognito(action, body) {
    const response = await fetch(config.cognito, {
      method: "POST",
      headers: {
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": `AWSCognitoIdentityProviderService.${action}`,
      },
      body: JSON.stringify({ ClientId: config.client_id, ...body }),
    }).catch(() => { throw new Refused("The login service cannot be reached."); });
    const answer = await response.json().catch(() => ({}));
    if (response.ok) return answer;
    const kind = String(answer.__type || "").split("#").pop();
    if (["NotAuthorizedException", "UserNotFoundException"].includes(kind))
      throw new Refused("User or password is wrong.");
    throw new Refused(answer.message || answer.Message || "The login service refused.");
  }

  /** True when logged in; false where a first login asks for a new password. */
  async function withPassword(user, password, fresh) {
    const answer = session && fresh
      ? await cognito("RespondToAuthChallenge", {
        ChallengeName: "NEW_PASSWORD_REQUIRED", Session: session,
        ChallengeResponses: { USERNAME: user, NEW_PASSWORD: fresh },
      })
      : await cognito("InitiateAuth", {
        AuthFlow: "USER_PASSWORD_AUTH", AuthParameters: { USERNAME: user, PASSWORD: password },
      });
    if (answer.ChallengeName === "NEW_PASSWORD_REQUIRED") {
      session = answer.Session;
      return false;
    }
    if (!answer.AuthenticationResult)
      throw new Refused(`This page cannot answer ${answer.ChallengeName}.`);
    session = "";
    take(answer.AuthenticationResult.IdToken, answer.AuthenticationResult.RefreshToken);
    return true;
  }

  // ---- Any other issuer: authorization code with PKCE (RFC 7636) ------------------------------

  const base64url = (bytes) => btoa(String.fromCharCode(...new Uint8Array(bytes)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));
  const here = () => location.origin + location.pathname;

  async function discovered() {
    const response = await fetch(`${config.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`);
    if (!response.ok) throw new Refused("The issuer does not say where to log in.");
    return response.json();
  }

  async function redirect() {
    const issuer = await discovered(), verifier = random(), state = random();
    const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
    sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, search: location.search }));
    const to = new URL(issuer.authorization_endpoint);
    const asked = {
      response_type: "code", client_id: config.client_id, redirect_uri: here(), state,
      scope: "openid profile", code_challenge: base64url(digest), code_challenge_method: "S256",
    };
    if (config.audience !== config.client_id) asked.audience = config.audience;
    for (const [name, value] of Object.entries(asked)) to.searchParams.set(name, value);
    location.assign(to);
  }

  /** The way back from the issuer: its code leaves the address bar before anything else happens. */
  async function returned() {
    const query = new URLSearchParams(location.search), pending = sessionStorage.getItem(PENDING);
    if (!pending || !query.has("state")) return;
    sessionStorage.removeItem(PENDING);
    const { verifier, state, search } = JSON.parse(pending);
    history.replaceState(null, "", location.pathname + search);
    if (query.get("state") !== state) throw new Refused("The login came from elsewhere. Try again.");
    if (!query.get("code")) throw new Refused(query.get("error_description") || "Not logged in.");
    await redeem({
      grant_type: "authorization_code", code: query.get("code"), redirect_uri: here(),
      code_verifier: verifier,
    });
  }

  async function redeem(grant) {
    const issuer = await discovered();
    const response = await fetch(issuer.token_endpoint, {
      method: "POST", body: new URLSearchParams({ client_id: config.client_id, ...grant }),
    });
    if (!response.ok) throw new Refused("The issuer gave no token.");
    const answer = await response.json();
    // The API takes whichever token is meant for its audience.
    const fitting = [answer.access_token, answer.id_token].filter(Boolean)
      .find((jwt) => [claims(jwt).aud].flat().includes(config.audience));
    if (!fitting) throw new Refused("The issuer's token is not for this API.");
    take(fitting, answer.refresh_token);
  }

  return { start, withPassword, redirect, renew, leave, Refused, token: () => token };
})();
