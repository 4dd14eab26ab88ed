export function manPages(): Promise<Map<string, string>>;
