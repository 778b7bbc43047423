/** The value of Content-Type for an extension (".html") or a media type. Its true type has no `undefined` for a literal that is known. */
export function contentType(extensionOrType: string): string | undefined;
