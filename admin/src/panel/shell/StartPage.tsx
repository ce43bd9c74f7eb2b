// The server's front page: which tenant?
import { useState } from "react";
import { Act } from "../parts/Act";
import { Field } from "../parts/Field";
import { Icon } from "../parts/Icon";
import { Link } from "../parts/Link";
import { forgetTenant, remembered } from "../remembering";
import { go, overviewPath } from "../routes";
import { useTitle } from "../titling";
import { Mark } from "./Header";

const TENANT_ID = /^[a-z0-9]([a-z0-9-]{0,36}[a-z0-9])?$/;

export function StartPage() {
  const [id, setId] = useState("");
  const [error, setError] = useState<string | null>(null);
  const [tenants, setTenants] = useState(remembered);

  useTitle("Admin Panel");

  function open() {
    const asked = id.trim().toLowerCase();
    if (TENANT_ID.test(asked)) go(overviewPath(asked));
    else setError("The id of a tenant has 1 to 38 lower-case letters, digits and hyphens, like 'acme-works'.");
  }

  return (
    <main id="main" className="alone">
      <h1>
        <Mark /> OctoMesh Admin Panel
      </h1>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          open();
        }}
      >
        <Field
          label="Tenant"
          hint={
            <>
              Its id, like acme-works. Whoever runs this server can list all: <code>octomesh tenants list</code>
            </>
          }
          error={error}
        >
          {(given) => (
            <input
              {...given}
              value={id}
              autoFocus
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              onChange={(event) => {
                setId(event.target.value);
                setError(null);
              }}
            />
          )}
        </Field>
        <Act submit kind="primary">
          Open
        </Act>
      </form>
      {tenants.length > 0 && (
        <section aria-labelledby="last">
          <h2 id="last">Opened last</h2>
          <ul className="tenants">
            {tenants.map((tenant) => (
              <li key={tenant.id}>
                <Link href={overviewPath(tenant.id)}>
                  <strong>{tenant.name}</strong> <span className="quiet">{tenant.id}</span>
                  <Icon name="right" />
                </Link>
                <Act
                  kind="quiet"
                  icon="close"
                  iconOnly
                  onAct={() => {
                    forgetTenant(tenant.id);
                    setTenants(remembered());
                  }}
                >{`Forget ${tenant.name}`}</Act>
              </li>
            ))}
          </ul>
        </section>
      )}
    </main>
  );
}
