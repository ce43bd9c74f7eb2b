// Drawings of 16 by 16, in the colour of the text beside them. They never stand for a word alone.
import type { ReactNode } from "react";

const stroke = {
  fill: "none",
  stroke: "currentColor",
  strokeWidth: 1.6,
  strokeLinecap: "round",
  strokeLinejoin: "round",
} as const;
const ring = <circle cx="8" cy="8" r="6" {...stroke} />;
const disc = <circle cx="8" cy="8" r="7" fill="currentColor" />;

const DRAWINGS = {
  // States: each has a shape of its own, so that nobody needs the colour.
  dot: <circle cx="8" cy="8" r="5" fill="currentColor" />,
  crossed: (
    <>
      {ring}
      <path d="M3.8 12.2 12.2 3.8" {...stroke} />
    </>
  ),
  dashed: <circle cx="8" cy="8" r="6" {...stroke} strokeDasharray="2.4 2.3" />,
  check: (
    <>
      {disc}
      <path d="m5 8.2 2.1 2.1L11.2 6" {...stroke} className="hole" />
    </>
  ),
  working: (
    <>
      {ring}
      <path d="M8 4.6V8l2.2 1.6" {...stroke} />
    </>
  ),
  octagon: (
    <>
      <path d="M5.1 1h5.8L15 5.1v5.8L10.9 15H5.1L1 10.9V5.1Z" fill="currentColor" />
      <path d="M8 4.4v4.2M8 11.4v.1" {...stroke} className="hole" />
    </>
  ),
  triangle: (
    <>
      <path d="M8 1.2 15.4 14.4H.6Z" fill="currentColor" strokeLinejoin="round" />
      <path d="M8 5.8v3.8M8 12v.1" {...stroke} className="hole" />
    </>
  ),
  empty: <rect x="2.6" y="2.6" width="10.8" height="10.8" rx="2" {...stroke} />,
  question: (
    <>
      {ring}
      <path d="M6.3 6.4a1.8 1.8 0 1 1 2.5 1.7c-.6.3-.8.6-.8 1.2M8 11.3v.1" {...stroke} />
    </>
  ),
  // Things to do.
  more: (
    <>
      <circle cx="8" cy="3" r="1.4" fill="currentColor" />
      <circle cx="8" cy="8" r="1.4" fill="currentColor" />
      <circle cx="8" cy="13" r="1.4" fill="currentColor" />
    </>
  ),
  edit: <path d="M2.5 13.5 3.2 10.4 10.6 3a1.5 1.5 0 0 1 2.1 0l.3.3a1.5 1.5 0 0 1 0 2.1L5.6 12.8Z" {...stroke} />,
  deploy: (
    <>
      <path d="M8 10.5V2.5M4.8 5.6 8 2.5l3.2 3.1" {...stroke} />
      <path d="M2.5 10.5v3h11v-3" {...stroke} />
    </>
  ),
  undeploy: (
    <>
      <path d="M8 2.5v8M4.8 7.4 8 10.5l3.2-3.1" {...stroke} />
      <path d="M2.5 10.5v3h11v-3" {...stroke} />
    </>
  ),
  bin: <path d="M2.5 4.2h11M6 4V2.5h4V4M4 4.5l.6 9h6.8l.6-9M6.7 7v4M9.3 7v4" {...stroke} />,
  plus: <path d="M8 3v10M3 8h10" {...stroke} />,
  close: <path d="m3.5 3.5 9 9M12.5 3.5l-9 9" {...stroke} />,
  search: (
    <>
      <circle cx="7" cy="7" r="4.3" {...stroke} />
      <path d="m10.4 10.4 3.3 3.3" {...stroke} />
    </>
  ),
  up: <path d="M8 12.5v-9M4.5 7 8 3.5 11.5 7" {...stroke} />,
  down: <path d="M8 3.5v9M4.5 9 8 12.5 11.5 9" {...stroke} />,
  below: <path d="M3.5 6 8 10.5 12.5 6" {...stroke} />,
  left: <path d="M10 3.5 5.5 8l4.5 4.5" {...stroke} />,
  right: <path d="M6 3.5 10.5 8 6 12.5" {...stroke} />,
  copy: (
    <>
      <rect x="5.5" y="5.5" width="8" height="8" rx="1.4" {...stroke} />
      <path d="M3.5 10.5h-1v-8h8v1" {...stroke} />
    </>
  ),
  person: (
    <>
      <circle cx="8" cy="5.3" r="2.6" {...stroke} />
      <path d="M2.8 13.8c.6-2.7 2.6-4 5.2-4s4.6 1.3 5.2 4" {...stroke} />
    </>
  ),
  refresh: <path d="M13 8a5 5 0 1 1-1.5-3.6M13 2.2V5h-2.8" {...stroke} />,
} satisfies Record<string, ReactNode>;

export type IconName = keyof typeof DRAWINGS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      className={`icon icon-${name}`}
      viewBox="0 0 16 16"
      width="16"
      height="16"
      aria-hidden="true"
      focusable="false"
    >
      {DRAWINGS[name]}
    </svg>
  );
}
