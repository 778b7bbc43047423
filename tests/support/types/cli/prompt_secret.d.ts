export interface PromptSecretOptions {
  /** Shown for each character; "" shows none. */
  mask?: string;
  /** Whether to remove the line afterwards. */
  clear?: boolean;
}

/** Asks for a secret; null if stdin is no terminal. */
export function promptSecret(message?: string, options?: PromptSecretOptions): string | null;
