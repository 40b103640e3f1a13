// An activity: one HTTP request with the standard `fetch`.
//
// The host makes the request, and checks it against the manifest's `allowed_hosts`. How long it may take is the manifest's
// `timeout`. `fetch` has one error for whatever goes wrong; the attempt's trace, which the daemon keeps, has the exact code.

// The exported interface example:http/client. It is found by its name.
export const client = {
  get: (url) => exchange(url, { method: "GET" }),
  post: (url, body) =>
    exchange(url, { method: "POST", body, headers: { "content-type": "text/plain; charset=utf-8" } }),
};

async function exchange(url, options) {
  check(url);
  const answer = await send(url, options);
  if (answer.status >= 500) {
    throw failure("server-error", answer);
  }
  return answer;
}

function check(url) {
  let parts;
  try {
    parts = new URL(url);
  } catch (error) {
    throw failure("permanent-bad-url", error.message);
  }
  if (parts.protocol !== "http:" && parts.protocol !== "https:") {
    throw failure("permanent-bad-url", "it begins with neither http:// nor https://");
  }
  if (parts.username || parts.password) {
    throw failure("permanent-bad-url", "a user name or password is not supported");
  }
}

async function send(url, options) {
  try {
    const response = await fetch(url, options);
    return { status: response.status, body: await response.text() };
  } catch (error) {
    throw failure("other", `${error.name}: ${error.message}`);
  }
}

// A value of the variant http-error. Thrown out of an exported function, it becomes the function's `err`.
function failure(tag, val) {
  return { tag, val };
}
