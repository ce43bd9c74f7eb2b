// What no retry mends, and what to do about it.
import { type Failure, sentence } from "../api/failure";
import type { Viewer } from "../api/tenant";
import { token } from "../api/token";
import { Act } from "../parts/Act";
import { Dialog } from "../parts/Dialog";
import { Link } from "../parts/Link";
import { START } from "../routes";
import { useTitle } from "../titling";
import { TokenForm } from "./TokenForm";

const ID = /^[a-z0-9]([a-z0-9-]{0,36}[a-z0-9])?$/;

interface Props {
  failure: Failure;
  tenantId: string;
  viewer: Viewer | null;
  onAgain: () => void;
}

export function TroublePage({ failure, tenantId, viewer, onAgain }: Props) {
  useTitle("Admin Panel");
  return (
    <main id="main" className="alone">
      {failure.code === "TENANT_NOT_FOUND" && (
        <>
          <h1>There is no tenant '{tenantId}' here</h1>
          <p>Or not for you: an unknown tenant and one that you may not see look the same.</p>
          <ul>
            <li>Check the id in the address.</li>
            <li>
              Whoever runs this server can list its tenants with <code>octomesh tenants list</code>
              {ID.test(tenantId) ? (
                <>
                  {" "}
                  and make this one with <code>octomesh tenants create {tenantId}</code>.
                </>
              ) : (
                ". No tenant can have this id: ids are lower-case letters, digits and hyphens."
              )}
            </li>
            <li>If the server asks who you are, use a token of that tenant, here below.</li>
          </ul>
          <p className="acts">
            <Link className="button primary" href={START}>
              Choose another tenant
            </Link>
            <Again onAgain={onAgain} />
          </p>
          <TokenForm onKept={onAgain} />
        </>
      )}
      {failure.code === "UNAUTHENTICATED" && (
        <>
          <h1>{token() ? "Your login has ended" : "The server asks who you are"}</h1>
          <p>{sentence(failure)}</p>
          <p>Paste an access token of your identity provider. What you were looking at comes back then.</p>
          <TokenForm onKept={onAgain} prominent />
        </>
      )}
      {failure.code === "FORBIDDEN" && (
        <>
          <h1>You may not look at this tenant</h1>
          <p>
            {viewer ? `The server knows you as ${viewer.name}. ` : ""}
            {sentence(failure)}
          </p>
          <p>
            Ask whoever gives out access for <code>octo_api.read_only</code> to look, or <code>octo_api</code> to change
            things, and use a token that has it:
          </p>
          <TokenForm onKept={onAgain} prominent />
          <p className="acts">
            <Again onAgain={onAgain} />
          </p>
        </>
      )}
    </main>
  );
}

function Again({ onAgain }: { onAgain: () => void }) {
  return (
    <Act icon="refresh" onAct={onAgain}>
      Try again
    </Act>
  );
}

/** Over the page one was on, so that it is still there afterwards. */
export function LoginDialog({ failure, onKept }: { failure: Failure; onKept: () => void }) {
  return (
    <Dialog title="Your login has ended">
      <p>{sentence(failure)}</p>
      <p>Paste a new access token of your identity provider. What you were doing is still here.</p>
      <TokenForm onKept={onKept} prominent />
    </Dialog>
  );
}

export function Nowhere() {
  return (
    <main id="main" className="alone">
      <h1>There is no such page</h1>
      <p>
        <Link href={START}>To the start</Link>
      </p>
    </main>
  );
}
