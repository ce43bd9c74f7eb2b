import type { AnchorHTMLAttributes, MouseEvent } from "react";
import { go } from "../routes";

/** A link inside the panel: an ordinary one, except that the page is not loaded anew. */
export function Link({ href, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  function follow(event: MouseEvent) {
    if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(href);
    window.scrollTo(0, 0);
  }
  return <a href={href} onClick={follow} {...rest} />;
}
