// What the API answers. Times in names ending in _ns and in `t` are nanoseconds since the epoch, durations in _s seconds.
export type Maybe = number | null;
export type Values = Maybe[];
export type Attributes = Record<string, unknown>;

export interface Version {
  version: string;
  arrivals: number;
  now_ns: number;
  first_ns: Maybe;
  last_ns: Maybe;
  spans: Maybe; // null where a running stack is read: it is not counted
  logs: Maybe;
  points: Maybe;
  empty: boolean;
  otlp: { http: string | null; grpc: string | null };
  remote?: Record<"prometheus" | "jaeger" | "loki", string | null>; // where it is read, instead of a store
}

export interface ModelRow {
  model: string;
  version: string;
  service: string[];
  requests: number;
  rows: Maybe;
  errors: number;
  error_share: Maybe;
  p50_s: Maybe;
  p95_s: Maybe;
  p99_s: Maybe;
  confidence_mean: Maybe;
  last_ns: Maybe;
  spark: { t: number[]; requests: Values; p95_s: Values } | null;
}

export interface Stage {
  stage: string;
  count: number;
  share: Maybe;
  p50_s: Maybe;
  p95_s: Maybe;
  t: number[];
  mean_s: Values;
}

export interface Drift {
  feature: string;
  kind: string;
  psi: Maybe;
  psi_bias: Maybe; // what PSI is of a sample this small when nothing moved
  js: Maybe;
  ks: Maybe;
  detected: boolean | null;
  missing_share: Maybe;
  reference_missing_share: Maybe;
  bins: (string | number)[];
  reference: Values | null;
  now: Values | null;
  t: number[] | null;
  psi_t: Values | null;
}

export interface Gpu {
  id: string;
  name: string;
  t: number[];
  utilization: Values | null;
  memory_used: Values | null;
  memory_limit: Values | Maybe;
  temperature: Values | null;
}

export interface Model {
  model: string;
  version: string;
  versions: string[];
  answer: string | null;
  traffic: { t: number[]; requests_per_s: Values; errors_per_s: Values } | null;
  latency: { t: number[]; p50_s: Values; p95_s: Values; p99_s: Values; count: Values | number } | null;
  stages: Stage[] | null;
  classes: { class: string; rows: number; t: number[]; per_s: Values }[] | null;
  confidence: { class: string; edges: Maybe[]; t: number[]; counts: Values[] }[] | null;
  drift: Drift[] | null;
  missing: { t: number[]; per_row: Values; values: Maybe; rows: Maybe } | null;
  quality: {
    t: number[];
    measured: Record<string, Values>;
    estimated: Record<string, Values>;
    outcomes: Maybe;
    delay_p50_s: Maybe;
  } | null;
  errors: { type: string; count: number; trace_id: string | null }[] | null;
  gpus: Gpu[] | null;
  slowest: { trace_id: string; start_ns: number; duration_s: number }[] | null;
  loads: { time_ns: number; event: string; framework: string | null; device: string | null }[] | null;
}

export interface Comparison {
  a: Attributes;
  b: Attributes;
  rows: { what: string; unit: string; a: Maybe; b: Maybe; ratio: Maybe; better: "a" | "b" | null; p_value?: Maybe }[];
}

export interface TraceRow {
  trace_id: string;
  name: string;
  service: string;
  services: string[];
  start_ns: number;
  duration_s: number;
  spans: number;
  errors: number;
  model: string;
  version: string;
}

export interface Traces {
  traces: TraceRow[];
  scatter: [number, number, number, string][];
  share: number; // of the spans in the range, how much the scatter and the total are of
  total: number;
  next: string | number | null;
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  known?: boolean;
}

export interface Span {
  span_id: string;
  parent_id: string;
  name: string;
  kind: string | number;
  service: string;
  start_ns: number;
  duration_ns: number;
  status: string;
  status_message: string;
  stage: string | null;
  attributes: Attributes;
  events: { name: string; time_ns?: number; attributes?: Attributes }[];
  links: SpanLink[];
  depth: number;
  critical: [number, number][];
  orphan: boolean;
}

export interface Log {
  id: string | number;
  time_ns: number;
  severity: number;
  severity_text: string;
  event_name: string;
  body: unknown;
  service: string;
  trace_id: string;
  span_id: string;
  attributes: Attributes;
  resource: Attributes;
}

export interface Trace {
  trace_id: string;
  start_ns: number;
  duration_s: number;
  services: string[];
  spans: Span[];
  logs: Log[];
  linked_from: SpanLink[];
}

export interface TraceComparison {
  rows: { path: string; a_s: Maybe; b_s: Maybe; ratio: Maybe }[];
}

export interface Logs {
  logs: Log[];
  total: number;
  next: string | number | null;
  counts: { t: number[]; by_severity: Record<string, Values> } | null;
}

export interface MetricRow {
  name: string;
  unit: string;
  kind: string;
  temporality: string | number;
  description: string;
  series: number;
  services: string[];
}

export interface Exemplar {
  time_ns: number;
  value: number;
  trace_id: string;
  label: string;
}

export interface Metric {
  name: string;
  unit: string;
  kind: string;
  description: string | null;
  stat: string;
  stats: string[]; // what can be asked of this kind, the usual first
  t: number[];
  series: { label: string; attributes: Attributes; values: Values }[];
  heatmap: { t: number[]; edges: Maybe[]; counts: Values[] } | null;
  exemplars: Exemplar[] | null;
  folded: number;
}

export interface Objective {
  name: string;
  objective: number;
  window_s: number;
  good: number;
  total: number;
  sli: Maybe;
  budget_left: Maybe;
  burn: Record<string, Maybe>;
  state: "ok" | "ticket" | "page";
  t: number[] | null;
  budget: Values | null;
}

export interface Slos {
  objectives: Objective[];
  alerts: { name: string; severity: string; state: string; since_ns: Maybe; summary: string; runbook: string | null }[];
}

export interface Health {
  received: Record<string, { items: number; requests: Maybe; per_s: Values | Maybe; t: number[] | null }>;
  gaps: { service: string; instance: string; signal: string; from_ns: number; to_ns: number }[];
  mistakes: { id: string; severity: string; what: string; where: string; fix: string; docs: string | null }[];
  store: { bytes: number; limit: Maybe; pruned: number | Record<string, number>; oldest_ns: Maybe } | null;
}
