import { useEffect, useRef, useState } from "preact/hooks";

/** As wide as a column gets, beside its padding. */
export const mostCharacters = 45;

/** A value in its row. One that has no room there is opened: by a click, a touch or Enter. */
export function Cell({ text }: { text: string }) {
  const [open, setOpen] = useState(false);
  if (text.length <= mostCharacters && !/[\r\n]/.test(text)) return <>{text}</>;
  return (
    <>
      <button type="button" class="long" aria-haspopup="dialog" onClick={() => setOpen(true)}>
        {text}
      </button>
      {open && <Whole text={text} close={() => setOpen(false)} />}
    </>
  );
}

function Whole({ text, close }: { text: string; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="whole" aria-label="whole value" onClose={close}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <pre tabIndex={0}>{text}</pre>
      <button type="button" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}
