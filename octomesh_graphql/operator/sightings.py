"""What a watch has told, so that after a break it can tell what went meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from octomesh_graphql.operator.cluster import Object, Sighting, Step


class Told:
    """The objects that one watch has told as being there: of each its metadata, not the rest."""

    def __init__(self) -> None:
        self._there: dict[str, Object] = {}  # by uid: what has been made anew under the same name is another object
        self._listed = False

    def changed(self, step: Step, object: Object) -> Sighting:
        """An object was seen, or is gone."""
        uid = object["metadata"]["uid"]
        if step is Step.GONE:
            self._there.pop(uid, None)
        else:
            self._there[uid] = _known_by(object)
        return Sighting(step, object)

    def listed(self, objects: Iterable[Object]) -> list[Sighting]:
        """All that is there: what is no more comes first, so that a new object of an old name is not taken for gone."""
        objects = list(objects)
        present = {object["metadata"]["uid"] for object in objects}
        gone = [object for uid, object in self._there.items() if uid not in present]
        sightings = [self.changed(Step.GONE, object) for object in gone]
        sightings += [self.changed(Step.SEEN, object) for object in objects]
        if not self._listed:
            self._listed = True
            sightings.append(Sighting(Step.LISTED))
        return sightings


def _known_by(object: Object) -> Object:
    """What tells which object it was and whose."""
    metadata = {key: value for key, value in object["metadata"].items() if key != "managedFields"}
    return {"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata}
