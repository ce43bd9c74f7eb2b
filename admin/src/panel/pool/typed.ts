// An adapter as people type it, between what the API tells and what it takes.
import type { AdapterSpecFragment, AdapterType } from "../../gql/graphql";
import { checked, formatted } from "./configuration";
import type { Version } from "./useDraft";

export interface Typed {
  name: string;
  description: string;
  type: AdapterType;
  imageName: string;
  imageVersion: string;
  port: string;
  healthPath: string;
  configuration: string;
}

export const LABELS: Record<keyof Typed, string> = {
  name: "Name",
  description: "Description",
  type: "Type",
  imageName: "Image",
  imageVersion: "Version",
  port: "Port",
  healthPath: "Health path",
  configuration: "Configuration",
};

export const BLANK: Version<Typed> = {
  version: 0,
  values: {
    name: "",
    description: "",
    type: "EDGE",
    imageName: "",
    imageVersion: "",
    port: "",
    healthPath: "",
    configuration: "",
  },
};

export function typedOf(spec: AdapterSpecFragment): Version<Typed> {
  return {
    version: spec.rtVersion,
    values: {
      name: spec.name,
      description: spec.description ?? "",
      type: spec.type,
      imageName: spec.imageName,
      imageVersion: spec.imageVersion,
      port: spec.port?.toString() ?? "",
      healthPath: spec.healthPath ?? "",
      configuration: formatted(spec.configuration),
    },
  };
}

/** Those that may be empty, as the API takes them: an empty one is null. */
export function inputOf({ description, port, healthPath, configuration }: Partial<Typed>) {
  const json = configuration === undefined ? undefined : checked(configuration);
  return {
    ...(description !== undefined && { description: description || null }),
    ...(port !== undefined && { port: port ? Number(port) : null }),
    ...(healthPath !== undefined && { healthPath: healthPath || null }),
    ...(json && "value" in json && { configuration: json.value }),
  };
}
