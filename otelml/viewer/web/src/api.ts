// Questions to the server: plain GETs of JSON, same origin, with the cookie that the browser holds.
export type Parameters = Record<string, string | number | null | undefined>;

export class Refused extends Error {
  constructor(
    message: string,
    readonly fix: string,
    readonly status: number,
  ) {
    super(message);
  }
}

export function url(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    if (value !== null && value !== undefined && value !== "") query.set(key, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function refusal(response: Response): Promise<Refused> {
  try {
    const { error } = (await response.json()) as { error: { message: string; fix?: string } };
    return new Refused(error.message, error.fix ?? "", response.status);
  } catch {
    return new Refused(`The viewer answered ${response.status}.`, "", response.status);
  }
}

export async function get<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url(path, parameters), { headers: { Accept: "application/json" }, signal: signal ?? null });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused("The viewer does not answer.", "Start it again: otelml view", 0);
  }
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as T;
}
