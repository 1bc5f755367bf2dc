import { useEffect, useState } from "preact/hooks";

/** Whether a media query matches, now and when that changes. */
export function useMedia(text: string): boolean {
  const [query] = useState(() => matchMedia(text));
  const [matches, setMatches] = useState(query.matches);
  useEffect(() => {
    const changed = () => setMatches(query.matches);
    query.addEventListener("change", changed);
    // It may have changed before this was told to listen.
    changed();
    return () => query.removeEventListener("change", changed);
  }, [query]);
  return matches;
}
