// The head of every page of a tenant: where one is, and who one is.
import { type ReactNode, useEffect, useRef, useState } from "react";
import { keepToken, token } from "../api/token";
import type { Viewer } from "../api/tenant";
import { Act } from "../parts/Act";
import { Icon } from "../parts/Icon";
import { Link } from "../parts/Link";
import { graphqlPath, overviewPath, START } from "../routes";
import { TokenForm } from "./TokenForm";

interface Props {
  tenantId: string;
  /** Whether there is anything to see of it. */
  open: boolean;
  /** Rather than on a page beneath it. */
  onOverview: boolean;
  viewer: Viewer | null;
  onAgain: () => void;
}

export function Header({ children, ...props }: Props & { children: ReactNode }) {
  const { tenantId, open, onOverview, viewer } = props;
  return (
    <header className="head">
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Link className="brand" href={open ? overviewPath(tenantId) : START} aria-label="OctoMesh, pools">
        <Mark />
        <span>OctoMesh</span>
      </Link>
      <span className="tenant" title={`Tenant ${tenantId}`}>
        {viewer?.tenantName ?? tenantId}
      </span>
      {open && (
        <nav aria-label="Main">
          <Link href={overviewPath(tenantId)} aria-current={onOverview ? "page" : "true"}>
            Pools
          </Link>
          <a href={graphqlPath(tenantId)}>GraphiQL</a>
        </nav>
      )}
      {children}
      <Account {...props} />
    </header>
  );
}

export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
      <path
        d="M12 3 4.5 7.3v8.7L12 20.5l7.5-4.5V7.3ZM12 12l7.5-4.7M12 12v8.5M12 12 4.5 7.3"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinejoin="round"
      />
      {[
        [12, 3],
        [4.5, 7.3],
        [4.5, 16],
        [12, 20.5],
        [19.5, 16],
        [19.5, 7.3],
        [12, 12],
      ].map(([x, y]) => (
        <circle key={`${x} ${y}`} cx={x} cy={y} r="2.1" fill="currentColor" />
      ))}
    </svg>
  );
}

function Account({ tenantId, viewer, onAgain }: Omit<Props, "open" | "onOverview">) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    if (!open) return;
    const away = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", away);
    document.addEventListener("focusin", away);
    return () => {
      document.removeEventListener("pointerdown", away);
      document.removeEventListener("focusin", away);
    };
  }, [open]);

  return (
    <div
      className="account"
      ref={box}
      onKeyDown={(event) => {
        if (event.key === "Escape" && open) {
          setOpen(false);
          button.current?.focus();
        }
      }}
    >
      <button
        ref={button}
        type="button"
        className="button quiet"
        aria-expanded={open}
        aria-label={`Account: ${viewer?.name ?? "unknown"}`}
        onClick={() => setOpen(!open)}
      >
        <Icon name="person" />
        <span className="name">{viewer?.name ?? "Account"}</span>
      </button>
      {open && (
        <div className="account-sheet">
          <dl>
            <dt>You are</dt>
            <dd>{viewer ? `${viewer.name}${viewer.authenticated ? "" : " (not signed in)"}` : "not known yet"}</dd>
            <dt>Tenant</dt>
            <dd>{viewer ? `${viewer.tenantName} (${viewer.tenantId})` : tenantId}</dd>
            <dt>You may</dt>
            <dd>
              {viewer ? (viewer.mayEdit ? "look and change" : viewer.mayRead ? "look only" : "nothing here") : "…"}
            </dd>
          </dl>
          <TokenForm onKept={onAgain} />
          {token() && (
            <Act
              kind="quiet"
              onAct={() => {
                keepToken("");
                onAgain();
              }}
            >
              Forget the token
            </Act>
          )}
          <p>
            <Link href={START}>Another tenant</Link>
          </p>
        </div>
      )}
    </div>
  );
}
