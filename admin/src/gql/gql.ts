/* eslint-disable */
import * as types from './graphql';
import type { TypedDocumentNode as DocumentNode } from '@graphql-typed-document-node/core';

/**
 * Map of all GraphQL operations in the project.
 *
 * This map has several performance disadvantages:
 * 1. It is not tree-shakeable, so it will include all operations in the project.
 * 2. It is not minifiable, so the string of a GraphQL query will be multiple times inside the bundle.
 * 3. It does not support dead code elimination, so it will add unused operations.
 *
 * Therefore it is highly recommended to use the babel or swc plugin for production.
 * Learn more about it here: https://the-guild.dev/graphql/codegen/plugins/presets/preset-client#reducing-bundle-size
 */
type Documents = {
    "\n  fragment PoolRow on Pool {\n    rtId\n    rtVersion\n    name\n    description\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    deleting\n    health {\n      level\n      headline\n      reasons\n    }\n    summary {\n      adapters\n      wanted\n      undeployed\n      deploymentPending\n      deployed\n      deploymentError\n    }\n    operator {\n      id\n      cluster\n      namespace\n      version\n      since\n      lastSeen\n    }\n  }\n": typeof types.PoolRowFragmentDoc,
    "\n  fragment AdapterRow on Adapter {\n    rtId\n    rtVersion\n    name\n    type\n    imageName\n    imageVersion\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    lastError\n    wanted\n    pool {\n      rtId\n      name\n    }\n  }\n": typeof types.AdapterRowFragmentDoc,
    "\n  fragment AdapterSpec on Adapter {\n    rtId\n    rtVersion\n    name\n    description\n    type\n    imageName\n    imageVersion\n    configuration\n    port\n    healthPath\n  }\n": typeof types.AdapterSpecFragmentDoc,
    "\n  fragment Refusal on UserError {\n    __typename\n    code\n    message\n    path\n    ... on VersionConflict {\n      current {\n        __typename\n        ... on Pool {\n          ...PoolRow\n        }\n        ... on Adapter {\n          ...AdapterSpec\n        }\n      }\n    }\n  }\n": typeof types.RefusalFragmentDoc,
    "\n  query Viewer {\n    viewer {\n      name\n      authenticated\n      tenantId\n      tenantName\n      mayRead\n      mayEdit\n    }\n  }\n": typeof types.ViewerDocument,
    "\n  query Pools(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n      nodes {\n        ...PoolRow\n      }\n    }\n  }\n": typeof types.PoolsDocument,
    "\n  query PoolOrder(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      nodes {\n        rtId\n      }\n    }\n  }\n": typeof types.PoolOrderDocument,
    "\n  query PoolCounts($search: String, $critical: PoolFilter, $warn: PoolFilter, $unknown: PoolFilter, $ok: PoolFilter) {\n    all: pools(first: 0, search: $search) {\n      totalCount\n    }\n    critical: pools(first: 0, search: $search, filter: $critical) {\n      totalCount\n    }\n    warn: pools(first: 0, search: $search, filter: $warn) {\n      totalCount\n    }\n    unknown: pools(first: 0, search: $search, filter: $unknown) {\n      totalCount\n    }\n    ok: pools(first: 0, search: $search, filter: $ok) {\n      totalCount\n    }\n  }\n": typeof types.PoolCountsDocument,
    "\n  query Pool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      rtCreationDateTime\n      rtChangedDateTime\n      installManifest\n      adapters(first: 500) {\n        totalCount\n        nodes {\n          ...AdapterRow\n        }\n      }\n    }\n  }\n": typeof types.PoolDocument,
    "\n  query Transitions($rtId: OctoObjectId!, $first: Int!) {\n    pool(rtId: $rtId) {\n      transitions(first: $first) {\n        totalCount\n        pageInfo {\n          hasNextPage\n        }\n        nodes {\n          id\n          entityRtId\n          entityName\n          what\n          from\n          to\n          who\n          reason\n          at\n        }\n      }\n    }\n  }\n": typeof types.TransitionsDocument,
    "\n  query PoolNames($rtIds: [OctoObjectId!]!) {\n    pools(first: 100, filter: { rtIds: $rtIds }) {\n      nodes {\n        rtId\n        name\n      }\n    }\n  }\n": typeof types.PoolNamesDocument,
    "\n  query DeployedInPool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      adapters(first: 20, filter: { deploymentState: [DEPLOYED, PENDING, ERROR] }) {\n        totalCount\n        nodes {\n          rtId\n          name\n          deploymentState\n        }\n      }\n    }\n  }\n": typeof types.DeployedInPoolDocument,
    "\n  query AdapterChoices($search: String) {\n    adapters(first: 30, search: $search) {\n      totalCount\n      nodes {\n        ...AdapterRow\n      }\n    }\n  }\n": typeof types.AdapterChoicesDocument,
    "\n  query AdapterSpec($rtId: OctoObjectId!) {\n    adapter(rtId: $rtId) {\n      ...AdapterSpec\n    }\n  }\n": typeof types.AdapterSpecDocument,
    "\n  mutation CreatePool($input: CreatePoolInput!) {\n    createPool(input: $input) {\n      pool {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.CreatePoolDocument,
    "\n  mutation EditPool($input: EditPoolInput!) {\n    editPool(input: $input) {\n      pool {\n        ...PoolRow\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.EditPoolDocument,
    "\n  mutation DeletePool($input: DeletePoolInput!) {\n    deletePool(input: $input) {\n      deleted\n      pool {\n        rtId\n      }\n      leftBehind {\n        rtId\n        name\n        deploymentState\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.DeletePoolDocument,
    "\n  mutation DeployPoolAdapters($input: DeployPoolAdaptersInput!) {\n    deployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.DeployPoolAdaptersDocument,
    "\n  mutation UndeployPoolAdapters($input: UndeployPoolAdaptersInput!) {\n    undeployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.UndeployPoolAdaptersDocument,
    "\n  mutation CreateAdapter($input: CreateAdapterInput!) {\n    createAdapter(input: $input) {\n      adapter {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.CreateAdapterDocument,
    "\n  mutation EditAdapter($input: EditAdapterInput!) {\n    editAdapter(input: $input) {\n      adapter {\n        ...AdapterSpec\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.EditAdapterDocument,
    "\n  mutation DeployAdapter($input: DeployAdapterInput!) {\n    deployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.DeployAdapterDocument,
    "\n  mutation UndeployAdapter($input: UndeployAdapterInput!) {\n    undeployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.UndeployAdapterDocument,
    "\n  mutation MoveAdapter($input: MoveAdapterInput!) {\n    moveAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.MoveAdapterDocument,
    "\n  mutation DeleteAdapter($input: DeleteAdapterInput!) {\n    deleteAdapter(input: $input) {\n      deletedRtId\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": typeof types.DeleteAdapterDocument,
    "\n  subscription PoolChanges($rtIds: [OctoObjectId!], $after: String) {\n    changes: poolChanges(rtIds: $rtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: pool {\n        ...PoolRow\n      }\n    }\n  }\n": typeof types.PoolChangesDocument,
    "\n  subscription PoolStirrings($after: String) {\n    changes: poolChanges(after: $after) {\n      cursor\n      kind\n      rtId\n    }\n  }\n": typeof types.PoolStirringsDocument,
    "\n  subscription AdapterChanges($poolRtIds: [OctoObjectId!], $after: String) {\n    changes: adapterChanges(poolRtIds: $poolRtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: adapter {\n        ...AdapterRow\n      }\n    }\n  }\n": typeof types.AdapterChangesDocument,
};
const documents: Documents = {
    "\n  fragment PoolRow on Pool {\n    rtId\n    rtVersion\n    name\n    description\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    deleting\n    health {\n      level\n      headline\n      reasons\n    }\n    summary {\n      adapters\n      wanted\n      undeployed\n      deploymentPending\n      deployed\n      deploymentError\n    }\n    operator {\n      id\n      cluster\n      namespace\n      version\n      since\n      lastSeen\n    }\n  }\n": types.PoolRowFragmentDoc,
    "\n  fragment AdapterRow on Adapter {\n    rtId\n    rtVersion\n    name\n    type\n    imageName\n    imageVersion\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    lastError\n    wanted\n    pool {\n      rtId\n      name\n    }\n  }\n": types.AdapterRowFragmentDoc,
    "\n  fragment AdapterSpec on Adapter {\n    rtId\n    rtVersion\n    name\n    description\n    type\n    imageName\n    imageVersion\n    configuration\n    port\n    healthPath\n  }\n": types.AdapterSpecFragmentDoc,
    "\n  fragment Refusal on UserError {\n    __typename\n    code\n    message\n    path\n    ... on VersionConflict {\n      current {\n        __typename\n        ... on Pool {\n          ...PoolRow\n        }\n        ... on Adapter {\n          ...AdapterSpec\n        }\n      }\n    }\n  }\n": types.RefusalFragmentDoc,
    "\n  query Viewer {\n    viewer {\n      name\n      authenticated\n      tenantId\n      tenantName\n      mayRead\n      mayEdit\n    }\n  }\n": types.ViewerDocument,
    "\n  query Pools(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n      nodes {\n        ...PoolRow\n      }\n    }\n  }\n": types.PoolsDocument,
    "\n  query PoolOrder(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      nodes {\n        rtId\n      }\n    }\n  }\n": types.PoolOrderDocument,
    "\n  query PoolCounts($search: String, $critical: PoolFilter, $warn: PoolFilter, $unknown: PoolFilter, $ok: PoolFilter) {\n    all: pools(first: 0, search: $search) {\n      totalCount\n    }\n    critical: pools(first: 0, search: $search, filter: $critical) {\n      totalCount\n    }\n    warn: pools(first: 0, search: $search, filter: $warn) {\n      totalCount\n    }\n    unknown: pools(first: 0, search: $search, filter: $unknown) {\n      totalCount\n    }\n    ok: pools(first: 0, search: $search, filter: $ok) {\n      totalCount\n    }\n  }\n": types.PoolCountsDocument,
    "\n  query Pool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      rtCreationDateTime\n      rtChangedDateTime\n      installManifest\n      adapters(first: 500) {\n        totalCount\n        nodes {\n          ...AdapterRow\n        }\n      }\n    }\n  }\n": types.PoolDocument,
    "\n  query Transitions($rtId: OctoObjectId!, $first: Int!) {\n    pool(rtId: $rtId) {\n      transitions(first: $first) {\n        totalCount\n        pageInfo {\n          hasNextPage\n        }\n        nodes {\n          id\n          entityRtId\n          entityName\n          what\n          from\n          to\n          who\n          reason\n          at\n        }\n      }\n    }\n  }\n": types.TransitionsDocument,
    "\n  query PoolNames($rtIds: [OctoObjectId!]!) {\n    pools(first: 100, filter: { rtIds: $rtIds }) {\n      nodes {\n        rtId\n        name\n      }\n    }\n  }\n": types.PoolNamesDocument,
    "\n  query DeployedInPool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      adapters(first: 20, filter: { deploymentState: [DEPLOYED, PENDING, ERROR] }) {\n        totalCount\n        nodes {\n          rtId\n          name\n          deploymentState\n        }\n      }\n    }\n  }\n": types.DeployedInPoolDocument,
    "\n  query AdapterChoices($search: String) {\n    adapters(first: 30, search: $search) {\n      totalCount\n      nodes {\n        ...AdapterRow\n      }\n    }\n  }\n": types.AdapterChoicesDocument,
    "\n  query AdapterSpec($rtId: OctoObjectId!) {\n    adapter(rtId: $rtId) {\n      ...AdapterSpec\n    }\n  }\n": types.AdapterSpecDocument,
    "\n  mutation CreatePool($input: CreatePoolInput!) {\n    createPool(input: $input) {\n      pool {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.CreatePoolDocument,
    "\n  mutation EditPool($input: EditPoolInput!) {\n    editPool(input: $input) {\n      pool {\n        ...PoolRow\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.EditPoolDocument,
    "\n  mutation DeletePool($input: DeletePoolInput!) {\n    deletePool(input: $input) {\n      deleted\n      pool {\n        rtId\n      }\n      leftBehind {\n        rtId\n        name\n        deploymentState\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.DeletePoolDocument,
    "\n  mutation DeployPoolAdapters($input: DeployPoolAdaptersInput!) {\n    deployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.DeployPoolAdaptersDocument,
    "\n  mutation UndeployPoolAdapters($input: UndeployPoolAdaptersInput!) {\n    undeployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.UndeployPoolAdaptersDocument,
    "\n  mutation CreateAdapter($input: CreateAdapterInput!) {\n    createAdapter(input: $input) {\n      adapter {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.CreateAdapterDocument,
    "\n  mutation EditAdapter($input: EditAdapterInput!) {\n    editAdapter(input: $input) {\n      adapter {\n        ...AdapterSpec\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.EditAdapterDocument,
    "\n  mutation DeployAdapter($input: DeployAdapterInput!) {\n    deployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.DeployAdapterDocument,
    "\n  mutation UndeployAdapter($input: UndeployAdapterInput!) {\n    undeployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.UndeployAdapterDocument,
    "\n  mutation MoveAdapter($input: MoveAdapterInput!) {\n    moveAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.MoveAdapterDocument,
    "\n  mutation DeleteAdapter($input: DeleteAdapterInput!) {\n    deleteAdapter(input: $input) {\n      deletedRtId\n      errors {\n        ...Refusal\n      }\n    }\n  }\n": types.DeleteAdapterDocument,
    "\n  subscription PoolChanges($rtIds: [OctoObjectId!], $after: String) {\n    changes: poolChanges(rtIds: $rtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: pool {\n        ...PoolRow\n      }\n    }\n  }\n": types.PoolChangesDocument,
    "\n  subscription PoolStirrings($after: String) {\n    changes: poolChanges(after: $after) {\n      cursor\n      kind\n      rtId\n    }\n  }\n": types.PoolStirringsDocument,
    "\n  subscription AdapterChanges($poolRtIds: [OctoObjectId!], $after: String) {\n    changes: adapterChanges(poolRtIds: $poolRtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: adapter {\n        ...AdapterRow\n      }\n    }\n  }\n": types.AdapterChangesDocument,
};

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 *
 *
 * @example
 * ```ts
 * const query = graphql(`query GetUser($id: ID!) { user(id: $id) { name } }`);
 * ```
 *
 * The query argument is unknown!
 * Please regenerate the types.
 */
export function graphql(source: string): unknown;

/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment PoolRow on Pool {\n    rtId\n    rtVersion\n    name\n    description\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    deleting\n    health {\n      level\n      headline\n      reasons\n    }\n    summary {\n      adapters\n      wanted\n      undeployed\n      deploymentPending\n      deployed\n      deploymentError\n    }\n    operator {\n      id\n      cluster\n      namespace\n      version\n      since\n      lastSeen\n    }\n  }\n"): (typeof documents)["\n  fragment PoolRow on Pool {\n    rtId\n    rtVersion\n    name\n    description\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    deleting\n    health {\n      level\n      headline\n      reasons\n    }\n    summary {\n      adapters\n      wanted\n      undeployed\n      deploymentPending\n      deployed\n      deploymentError\n    }\n    operator {\n      id\n      cluster\n      namespace\n      version\n      since\n      lastSeen\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment AdapterRow on Adapter {\n    rtId\n    rtVersion\n    name\n    type\n    imageName\n    imageVersion\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    lastError\n    wanted\n    pool {\n      rtId\n      name\n    }\n  }\n"): (typeof documents)["\n  fragment AdapterRow on Adapter {\n    rtId\n    rtVersion\n    name\n    type\n    imageName\n    imageVersion\n    communicationState\n    communicationStateTimestamp\n    configurationState\n    deploymentState\n    statusMessage\n    lastError\n    wanted\n    pool {\n      rtId\n      name\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment AdapterSpec on Adapter {\n    rtId\n    rtVersion\n    name\n    description\n    type\n    imageName\n    imageVersion\n    configuration\n    port\n    healthPath\n  }\n"): (typeof documents)["\n  fragment AdapterSpec on Adapter {\n    rtId\n    rtVersion\n    name\n    description\n    type\n    imageName\n    imageVersion\n    configuration\n    port\n    healthPath\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  fragment Refusal on UserError {\n    __typename\n    code\n    message\n    path\n    ... on VersionConflict {\n      current {\n        __typename\n        ... on Pool {\n          ...PoolRow\n        }\n        ... on Adapter {\n          ...AdapterSpec\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  fragment Refusal on UserError {\n    __typename\n    code\n    message\n    path\n    ... on VersionConflict {\n      current {\n        __typename\n        ... on Pool {\n          ...PoolRow\n        }\n        ... on Adapter {\n          ...AdapterSpec\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Viewer {\n    viewer {\n      name\n      authenticated\n      tenantId\n      tenantName\n      mayRead\n      mayEdit\n    }\n  }\n"): (typeof documents)["\n  query Viewer {\n    viewer {\n      name\n      authenticated\n      tenantId\n      tenantName\n      mayRead\n      mayEdit\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Pools(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n      nodes {\n        ...PoolRow\n      }\n    }\n  }\n"): (typeof documents)["\n  query Pools(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      pageInfo {\n        hasNextPage\n        hasPreviousPage\n        startCursor\n        endCursor\n      }\n      nodes {\n        ...PoolRow\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query PoolOrder(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      nodes {\n        rtId\n      }\n    }\n  }\n"): (typeof documents)["\n  query PoolOrder(\n    $first: Int\n    $after: String\n    $last: Int\n    $before: String\n    $filter: PoolFilter\n    $search: String\n    $orderBy: [PoolOrder!]\n  ) {\n    pools(\n      first: $first\n      after: $after\n      last: $last\n      before: $before\n      filter: $filter\n      search: $search\n      orderBy: $orderBy\n    ) {\n      totalCount\n      nodes {\n        rtId\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query PoolCounts($search: String, $critical: PoolFilter, $warn: PoolFilter, $unknown: PoolFilter, $ok: PoolFilter) {\n    all: pools(first: 0, search: $search) {\n      totalCount\n    }\n    critical: pools(first: 0, search: $search, filter: $critical) {\n      totalCount\n    }\n    warn: pools(first: 0, search: $search, filter: $warn) {\n      totalCount\n    }\n    unknown: pools(first: 0, search: $search, filter: $unknown) {\n      totalCount\n    }\n    ok: pools(first: 0, search: $search, filter: $ok) {\n      totalCount\n    }\n  }\n"): (typeof documents)["\n  query PoolCounts($search: String, $critical: PoolFilter, $warn: PoolFilter, $unknown: PoolFilter, $ok: PoolFilter) {\n    all: pools(first: 0, search: $search) {\n      totalCount\n    }\n    critical: pools(first: 0, search: $search, filter: $critical) {\n      totalCount\n    }\n    warn: pools(first: 0, search: $search, filter: $warn) {\n      totalCount\n    }\n    unknown: pools(first: 0, search: $search, filter: $unknown) {\n      totalCount\n    }\n    ok: pools(first: 0, search: $search, filter: $ok) {\n      totalCount\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Pool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      rtCreationDateTime\n      rtChangedDateTime\n      installManifest\n      adapters(first: 500) {\n        totalCount\n        nodes {\n          ...AdapterRow\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Pool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      rtCreationDateTime\n      rtChangedDateTime\n      installManifest\n      adapters(first: 500) {\n        totalCount\n        nodes {\n          ...AdapterRow\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query Transitions($rtId: OctoObjectId!, $first: Int!) {\n    pool(rtId: $rtId) {\n      transitions(first: $first) {\n        totalCount\n        pageInfo {\n          hasNextPage\n        }\n        nodes {\n          id\n          entityRtId\n          entityName\n          what\n          from\n          to\n          who\n          reason\n          at\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query Transitions($rtId: OctoObjectId!, $first: Int!) {\n    pool(rtId: $rtId) {\n      transitions(first: $first) {\n        totalCount\n        pageInfo {\n          hasNextPage\n        }\n        nodes {\n          id\n          entityRtId\n          entityName\n          what\n          from\n          to\n          who\n          reason\n          at\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query PoolNames($rtIds: [OctoObjectId!]!) {\n    pools(first: 100, filter: { rtIds: $rtIds }) {\n      nodes {\n        rtId\n        name\n      }\n    }\n  }\n"): (typeof documents)["\n  query PoolNames($rtIds: [OctoObjectId!]!) {\n    pools(first: 100, filter: { rtIds: $rtIds }) {\n      nodes {\n        rtId\n        name\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query DeployedInPool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      adapters(first: 20, filter: { deploymentState: [DEPLOYED, PENDING, ERROR] }) {\n        totalCount\n        nodes {\n          rtId\n          name\n          deploymentState\n        }\n      }\n    }\n  }\n"): (typeof documents)["\n  query DeployedInPool($rtId: OctoObjectId!) {\n    pool(rtId: $rtId) {\n      ...PoolRow\n      adapters(first: 20, filter: { deploymentState: [DEPLOYED, PENDING, ERROR] }) {\n        totalCount\n        nodes {\n          rtId\n          name\n          deploymentState\n        }\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query AdapterChoices($search: String) {\n    adapters(first: 30, search: $search) {\n      totalCount\n      nodes {\n        ...AdapterRow\n      }\n    }\n  }\n"): (typeof documents)["\n  query AdapterChoices($search: String) {\n    adapters(first: 30, search: $search) {\n      totalCount\n      nodes {\n        ...AdapterRow\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  query AdapterSpec($rtId: OctoObjectId!) {\n    adapter(rtId: $rtId) {\n      ...AdapterSpec\n    }\n  }\n"): (typeof documents)["\n  query AdapterSpec($rtId: OctoObjectId!) {\n    adapter(rtId: $rtId) {\n      ...AdapterSpec\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreatePool($input: CreatePoolInput!) {\n    createPool(input: $input) {\n      pool {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CreatePool($input: CreatePoolInput!) {\n    createPool(input: $input) {\n      pool {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation EditPool($input: EditPoolInput!) {\n    editPool(input: $input) {\n      pool {\n        ...PoolRow\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation EditPool($input: EditPoolInput!) {\n    editPool(input: $input) {\n      pool {\n        ...PoolRow\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeletePool($input: DeletePoolInput!) {\n    deletePool(input: $input) {\n      deleted\n      pool {\n        rtId\n      }\n      leftBehind {\n        rtId\n        name\n        deploymentState\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation DeletePool($input: DeletePoolInput!) {\n    deletePool(input: $input) {\n      deleted\n      pool {\n        rtId\n      }\n      leftBehind {\n        rtId\n        name\n        deploymentState\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeployPoolAdapters($input: DeployPoolAdaptersInput!) {\n    deployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation DeployPoolAdapters($input: DeployPoolAdaptersInput!) {\n    deployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UndeployPoolAdapters($input: UndeployPoolAdaptersInput!) {\n    undeployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation UndeployPoolAdapters($input: UndeployPoolAdaptersInput!) {\n    undeployPoolAdapters(input: $input) {\n      adapters {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation CreateAdapter($input: CreateAdapterInput!) {\n    createAdapter(input: $input) {\n      adapter {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation CreateAdapter($input: CreateAdapterInput!) {\n    createAdapter(input: $input) {\n      adapter {\n        rtId\n        name\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation EditAdapter($input: EditAdapterInput!) {\n    editAdapter(input: $input) {\n      adapter {\n        ...AdapterSpec\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation EditAdapter($input: EditAdapterInput!) {\n    editAdapter(input: $input) {\n      adapter {\n        ...AdapterSpec\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeployAdapter($input: DeployAdapterInput!) {\n    deployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation DeployAdapter($input: DeployAdapterInput!) {\n    deployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation UndeployAdapter($input: UndeployAdapterInput!) {\n    undeployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation UndeployAdapter($input: UndeployAdapterInput!) {\n    undeployAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation MoveAdapter($input: MoveAdapterInput!) {\n    moveAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation MoveAdapter($input: MoveAdapterInput!) {\n    moveAdapter(input: $input) {\n      adapter {\n        rtId\n      }\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  mutation DeleteAdapter($input: DeleteAdapterInput!) {\n    deleteAdapter(input: $input) {\n      deletedRtId\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"): (typeof documents)["\n  mutation DeleteAdapter($input: DeleteAdapterInput!) {\n    deleteAdapter(input: $input) {\n      deletedRtId\n      errors {\n        ...Refusal\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription PoolChanges($rtIds: [OctoObjectId!], $after: String) {\n    changes: poolChanges(rtIds: $rtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: pool {\n        ...PoolRow\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription PoolChanges($rtIds: [OctoObjectId!], $after: String) {\n    changes: poolChanges(rtIds: $rtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: pool {\n        ...PoolRow\n      }\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription PoolStirrings($after: String) {\n    changes: poolChanges(after: $after) {\n      cursor\n      kind\n      rtId\n    }\n  }\n"): (typeof documents)["\n  subscription PoolStirrings($after: String) {\n    changes: poolChanges(after: $after) {\n      cursor\n      kind\n      rtId\n    }\n  }\n"];
/**
 * The graphql function is used to parse GraphQL queries into a document that can be used by GraphQL clients.
 */
export function graphql(source: "\n  subscription AdapterChanges($poolRtIds: [OctoObjectId!], $after: String) {\n    changes: adapterChanges(poolRtIds: $poolRtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: adapter {\n        ...AdapterRow\n      }\n    }\n  }\n"): (typeof documents)["\n  subscription AdapterChanges($poolRtIds: [OctoObjectId!], $after: String) {\n    changes: adapterChanges(poolRtIds: $poolRtIds, after: $after) {\n      cursor\n      kind\n      rtId\n      entity: adapter {\n        ...AdapterRow\n      }\n    }\n  }\n"];

export function graphql(source: string) {
  return (documents as any)[source] ?? {};
}

export type DocumentType<TDocumentNode extends DocumentNode<any, any>> = TDocumentNode extends DocumentNode<  infer TType,  any>  ? TType  : never;