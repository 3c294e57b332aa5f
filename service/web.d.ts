// Types of web/, which JSDoc in its modules names. For the type checker alone: no browser loads it.

/** 784 pixels, 0 to 255, which of a file the answer brings, with those before deskewing as `sent`; what is drawn stroke by stroke has one number. */
type Picture = { pixels: ArrayLike<number> | null; file?: Blob; drawing: number; sent?: number[] };
type Answer = { picture: Picture; model: string; digit: number; probabilities: number[]; hint?: string; novelty?: number; accepted?: boolean };
type Evidence = { digit: number; pixels: number[]; picture?: number[]; logit?: number; bias?: number; log_odds?: number };
type Method = "linear" | "occlusion";
type Explanation = { model: string; method: Method; picture: Picture; evidence: Evidence };
/** As POST /predict answers. */
type Predicted = {
  model: string;
  digits: number[];
  probabilities: number[][];
  hint?: string;
  novelty?: number[];
  accepted?: boolean[];
  method: Method;
  evidence?: Evidence[]; // with ?explain=true
  seen?: number[][]; // with ?seen=true, as is the next
  before_deskewing?: number[][];
};
/** 784 × 10 for pixels scaled to 0-1, and 10. */
type Weights = { model: string; weights: number[][]; biases: number[] };
type Present = {
  view: string; // that is shown; the others do nothing
  picture: Picture | null; // null where nothing is drawn
  answer: Answer | null;
  notice: string; // why a file is not shown, or not answered
  asked: number | null; // the digit whose evidence is asked for, in place of the one answered
  weights: Weights | null; // null where the model is not linear
  explanation: Explanation | null; // of such a model, by the service
  card: any; // as GET /model has it
  samples: any; // as GET /samples has them
};

/** In shares of the paper's side, from the upper left. */
type Stroke = { points: number[][]; width: number; erases: boolean };
type Sheet = { strokes: Stroke[]; opened: { shown: ImageBitmap | HTMLCanvasElement; picture: Picture } | null };
type Attributes = Record<string, string | number>;
type Children = (Node | string)[];

/** A file and its path. */
type Found = { file: File; name: string };
/** A picture of Batch that is to be sent. */
type Sent = { name: string; content: Blob; isCopy?: boolean };
/** `body` is a request's, of the images `from` up to `to`; `pixels`, where the page can read them, is one image as bytes. */
type Images = { count: number; imageBytes: number; body: (from: number, to: number) => Blob; pixels?: (index: number) => Uint8Array };
type Stored = { data: Uint8Array; shape: number[]; dtype: string; isFortran?: boolean; isIdx?: boolean };
/** An image, the 784 pixels that the model saw, those that it was sent, which differ where it deskews, and the answer. */
type Row = {
  name: string;
  index: number;
  isOfMany: boolean;
  seen: Uint8Array;
  sent: Uint8Array;
  digit: number;
  confidence: number;
  probabilities: number[];
  novelty?: number;
  accepted?: boolean;
  label?: number;
  model: string;
};
/** `files`: how many, or what share of one, are done with it. */
type Part = { files: number; rows?: Row[]; labels?: number[]; hint?: string };
/** `report` hears of a file, or of the rest of one, that is not answered; `wait` why the service is waited for, "" when it answers. */
type Listener = { signal: AbortSignal; report: (name: string, words: string) => void; wait: (words: string) => void };

/** Of a perceptron. */
type Epoch = { number: number; weights: number[]; bias: number; errors: number };
type Unit = { epochs: Epoch[] };
type Frame = { units: Epoch[]; errors: number; learning: "all" | "hidden" | "output"; last: boolean };

/** `at` in seconds; `values` by series. */
type Sample = { at: number; values: Record<string, number> };
/** Of a family's series, by the value of one of their labels. */
type Counts = [string, number][];
type Span = { from: Sample | null; to: Sample };
