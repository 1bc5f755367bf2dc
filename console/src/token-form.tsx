import { useEffect, useRef, useState } from "preact/hooks";

/** @param signIn gives why a token is not the one */
export function TokenForm({ signIn }: { signIn: (token: string) => Promise<string | undefined> }) {
  const input = useRef<HTMLInputElement>(null);
  const [refused, setRefused] = useState<string | undefined>();
  useEffect(() => input.current?.focus(), []);
  return (
    <section aria-label="token">
      <form
        class="token"
        onSubmit={(event) => {
          event.preventDefault();
          const given = input.current?.value.trim() ?? "";
          setRefused(undefined);
          if (given !== "") void signIn(given).then(setRefused);
        }}
      >
        <label>
          Token <input ref={input} type="password" autocomplete="off" required />
        </label>
        <button type="submit">Enter</button>
        <small>It is kept until this tab is closed.</small>
        {refused !== undefined && (
          <p class="bad" role="alert">
            {refused}
          </p>
        )}
      </form>
    </section>
  );
}
