/** @file The token of a server that asks for one: it comes with the address that the server printed, and stays in the browser. */

const KEY = "monoscope-token";

/** Takes the token out of the address, so that it is not handed on with a link. */
export function takeToken(): void {
  const query = new URLSearchParams(location.search);
  const token = query.get("token");
  if (token === null) return;
  localStorage.setItem(KEY, token);
  query.delete("token");
  history.replaceState(null, "", `${location.pathname}${query.size > 0 ? `?${query}` : ""}${location.hash}`);
}

/** The headers of a request, with the token if there is one. */
export function authorized(headers: HeadersInit | undefined): Headers {
  const all = new Headers(headers);
  const token = localStorage.getItem(KEY);
  if (token !== null) all.set("Authorization", `Bearer ${token}`);
  return all;
}
