// What the panel asks the GraphQL API, and what it tells it. Nothing else is used: whatever the panel can do, a client
// can do too. `npm run generate` types each document from schema.graphql.
import { graphql } from "../../gql";

// Fragments

export const PoolRow = graphql(`
  fragment PoolRow on Pool {
    rtId
    rtVersion
    name
    description
    communicationState
    communicationStateTimestamp
    configurationState
    deploymentState
    statusMessage
    deleting
    health {
      level
      headline
      reasons
    }
    summary {
      adapters
      wanted
      undeployed
      deploymentPending
      deployed
      deploymentError
    }
    operator {
      id
      cluster
      namespace
      version
      since
      lastSeen
    }
  }
`);

export const AdapterRow = graphql(`
  fragment AdapterRow on Adapter {
    rtId
    rtVersion
    name
    type
    imageName
    imageVersion
    communicationState
    communicationStateTimestamp
    configurationState
    deploymentState
    statusMessage
    lastError
    wanted
    pool {
      rtId
      name
    }
  }
`);

export const AdapterSpec = graphql(`
  fragment AdapterSpec on Adapter {
    rtId
    rtVersion
    name
    description
    type
    imageName
    imageVersion
    configuration
    port
    healthPath
  }
`);

export const Refusal = graphql(`
  fragment Refusal on UserError {
    __typename
    code
    message
    path
    ... on VersionConflict {
      current {
        __typename
        ... on Pool {
          ...PoolRow
        }
        ... on Adapter {
          ...AdapterSpec
        }
      }
    }
  }
`);

// Questions

export const ViewerQuery = graphql(`
  query Viewer {
    viewer {
      name
      authenticated
      tenantId
      tenantName
      mayRead
      mayEdit
    }
  }
`);

export const PoolsQuery = graphql(`
  query Pools(
    $first: Int
    $after: String
    $last: Int
    $before: String
    $filter: PoolFilter
    $search: String
    $orderBy: [PoolOrder!]
  ) {
    pools(
      first: $first
      after: $after
      last: $last
      before: $before
      filter: $filter
      search: $search
      orderBy: $orderBy
    ) {
      totalCount
      pageInfo {
        hasNextPage
        hasPreviousPage
        startCursor
        endCursor
      }
      nodes {
        ...PoolRow
      }
    }
  }
`);

export const PoolOrderQuery = graphql(`
  query PoolOrder(
    $first: Int
    $after: String
    $last: Int
    $before: String
    $filter: PoolFilter
    $search: String
    $orderBy: [PoolOrder!]
  ) {
    pools(
      first: $first
      after: $after
      last: $last
      before: $before
      filter: $filter
      search: $search
      orderBy: $orderBy
    ) {
      totalCount
      nodes {
        rtId
      }
    }
  }
`);

export const PoolCountsQuery = graphql(`
  query PoolCounts($search: String, $critical: PoolFilter, $warn: PoolFilter, $unknown: PoolFilter, $ok: PoolFilter) {
    all: pools(first: 0, search: $search) {
      totalCount
    }
    critical: pools(first: 0, search: $search, filter: $critical) {
      totalCount
    }
    warn: pools(first: 0, search: $search, filter: $warn) {
      totalCount
    }
    unknown: pools(first: 0, search: $search, filter: $unknown) {
      totalCount
    }
    ok: pools(first: 0, search: $search, filter: $ok) {
      totalCount
    }
  }
`);

export const PoolQuery = graphql(`
  query Pool($rtId: OctoObjectId!) {
    pool(rtId: $rtId) {
      ...PoolRow
      rtCreationDateTime
      rtChangedDateTime
      installManifest
      adapters(first: 500) {
        totalCount
        nodes {
          ...AdapterRow
        }
      }
    }
  }
`);

export const TransitionsQuery = graphql(`
  query Transitions($rtId: OctoObjectId!, $first: Int!) {
    pool(rtId: $rtId) {
      transitions(first: $first) {
        totalCount
        pageInfo {
          hasNextPage
        }
        nodes {
          id
          entityRtId
          entityName
          what
          from
          to
          who
          reason
          at
        }
      }
    }
  }
`);

export const PoolNamesQuery = graphql(`
  query PoolNames($rtIds: [OctoObjectId!]!) {
    pools(first: 100, filter: { rtIds: $rtIds }) {
      nodes {
        rtId
        name
      }
    }
  }
`);

export const DeployedInPoolQuery = graphql(`
  query DeployedInPool($rtId: OctoObjectId!) {
    pool(rtId: $rtId) {
      ...PoolRow
      adapters(first: 20, filter: { deploymentState: [DEPLOYED, PENDING, ERROR] }) {
        totalCount
        nodes {
          rtId
          name
          deploymentState
        }
      }
    }
  }
`);

export const AdapterChoicesQuery = graphql(`
  query AdapterChoices($search: String) {
    adapters(first: 30, search: $search) {
      totalCount
      nodes {
        ...AdapterRow
      }
    }
  }
`);

export const AdapterSpecQuery = graphql(`
  query AdapterSpec($rtId: OctoObjectId!) {
    adapter(rtId: $rtId) {
      ...AdapterSpec
    }
  }
`);

// Acts

export const CreatePool = graphql(`
  mutation CreatePool($input: CreatePoolInput!) {
    createPool(input: $input) {
      pool {
        rtId
        name
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const EditPool = graphql(`
  mutation EditPool($input: EditPoolInput!) {
    editPool(input: $input) {
      pool {
        ...PoolRow
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const DeletePool = graphql(`
  mutation DeletePool($input: DeletePoolInput!) {
    deletePool(input: $input) {
      deleted
      pool {
        rtId
      }
      leftBehind {
        rtId
        name
        deploymentState
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const DeployPoolAdapters = graphql(`
  mutation DeployPoolAdapters($input: DeployPoolAdaptersInput!) {
    deployPoolAdapters(input: $input) {
      adapters {
        rtId
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const UndeployPoolAdapters = graphql(`
  mutation UndeployPoolAdapters($input: UndeployPoolAdaptersInput!) {
    undeployPoolAdapters(input: $input) {
      adapters {
        rtId
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const CreateAdapter = graphql(`
  mutation CreateAdapter($input: CreateAdapterInput!) {
    createAdapter(input: $input) {
      adapter {
        rtId
        name
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const EditAdapter = graphql(`
  mutation EditAdapter($input: EditAdapterInput!) {
    editAdapter(input: $input) {
      adapter {
        ...AdapterSpec
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const DeployAdapter = graphql(`
  mutation DeployAdapter($input: DeployAdapterInput!) {
    deployAdapter(input: $input) {
      adapter {
        rtId
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const UndeployAdapter = graphql(`
  mutation UndeployAdapter($input: UndeployAdapterInput!) {
    undeployAdapter(input: $input) {
      adapter {
        rtId
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const MoveAdapter = graphql(`
  mutation MoveAdapter($input: MoveAdapterInput!) {
    moveAdapter(input: $input) {
      adapter {
        rtId
      }
      errors {
        ...Refusal
      }
    }
  }
`);

export const DeleteAdapter = graphql(`
  mutation DeleteAdapter($input: DeleteAdapterInput!) {
    deleteAdapter(input: $input) {
      deletedRtId
      errors {
        ...Refusal
      }
    }
  }
`);

// What is watched

export const PoolChanges = graphql(`
  subscription PoolChanges($rtIds: [OctoObjectId!], $after: String) {
    changes: poolChanges(rtIds: $rtIds, after: $after) {
      cursor
      kind
      rtId
      entity: pool {
        ...PoolRow
      }
    }
  }
`);

export const PoolStirrings = graphql(`
  subscription PoolStirrings($after: String) {
    changes: poolChanges(after: $after) {
      cursor
      kind
      rtId
    }
  }
`);

export const AdapterChanges = graphql(`
  subscription AdapterChanges($poolRtIds: [OctoObjectId!], $after: String) {
    changes: adapterChanges(poolRtIds: $poolRtIds, after: $after) {
      cursor
      kind
      rtId
      entity: adapter {
        ...AdapterRow
      }
    }
  }
`);
