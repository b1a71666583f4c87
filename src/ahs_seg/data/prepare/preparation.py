"""Preparation of a whole dataset: provide its sources, convert its label maps in parallel, write its index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, TypeAlias

from ahs_seg.data.catalog import DatasetSpec
from ahs_seg.data.prepare.errors import MissingSourceError, PrepareError
from ahs_seg.data.prepare.index import Index, index_path
from ahs_seg.data.prepare.jobs import PrepareJob, PrepareOutcome, PrepareTask, run_task
from ahs_seg.data.prepare.parallel import run_parallel
from ahs_seg.data.prepare.safe_names import name_problem, same_file_key
from ahs_seg.data.prepare.sources import ArchiveSource, check_available, provide
from ahs_seg.io.folder_lock import locked

_SHOWN: Final = 10
"""Maximum number of lines about intentionally omitted images; faults are always shown."""

ListJobs: TypeAlias = Callable[[Path], tuple[list[PrepareJob], dict[str, str]]]
"""Function of the root that returns the jobs, and the reason for each omitted name of the official list."""


@dataclass(frozen=True, slots=True)
class PrepareSummary:
    """Summary of a preparation: numbers of label maps, and the reason for each one omitted or faulty."""

    spec: DatasetSpec
    made: int
    kept: int
    left_out: dict[str, str]
    faulty: dict[str, str]
    index: Path

    def __str__(self) -> str:
        """Summary as text for the terminal, including every fault."""
        total = self.made + self.kept
        lines = [f"{self.spec.title}: {total} images, {self.made} label maps made, {self.kept} kept as they were."]
        if total != self.spec.count:
            lines.append(f"note: the official split has {self.spec.count}; scores of other splits are not comparable.")
        lines += [f"left out: {name}: {reason}" for name, reason in list(self.left_out.items())[:_SHOWN]]
        if len(self.left_out) > _SHOWN:
            lines.append(f"left out: {len(self.left_out) - _SHOWN} more, listed in the index")
        lines += [f"faulty: {name}: {reason}" for name, reason in self.faulty.items()]
        return "\n".join([*lines, f"index: {self.index}"])


@dataclass(frozen=True, slots=True)
class Preparation:
    """Recipe for one dataset: its source files, and the jobs that make its label maps."""

    spec: DatasetSpec
    sources: tuple[ArchiveSource, ...]
    list_jobs: ListJobs

    def run(
        self,
        root: Path,
        *,
        archives: Sequence[Path] = (),
        fetch: bool = False,
        again: bool = False,
        workers: int | None = None,
        progress: bool = True,
    ) -> PrepareSummary:
        """Summary of a run that makes the missing label maps below `root` (all with `again`) and writes the index.

        Existing label maps are kept: indexed ones if their checksums match, others (of an interrupted run or of the
        original scripts) if they can be read and match their images. If the sources are missing but label maps exist,
        these are indexed unchanged.

        Raises:
            PrepareError: sources are missing or damaged, or no label map could be made.
            FolderInUseError: another process is preparing a dataset in the same folder below `root`.
        """
        provided = True
        try:
            check_available(self.sources, root, archives=archives, fetch=fetch)
        except MissingSourceError:
            if again or not self.spec.label_names(root):
                raise
            provided = False
        title = f"preparing {self.spec.name}"
        with locked(self.spec.folder(root)):
            if provided:
                provide(self.sources, root, archives=archives, fetch=fetch, progress=progress)
                tasks, left_out = self._tasks(root, again=again)
            else:
                tasks, left_out = self._checks(root), {}
            outcomes = run_parallel(run_task, tasks, description=title, workers=workers, progress=progress)
            return self._finish(root, list(outcomes), left_out)

    def _tasks(self, root: Path, *, again: bool) -> tuple[list[PrepareTask], dict[str, str]]:
        """The task of every image, and the reasons for omitted ones; with `again`, what was made is removed."""
        jobs, left_out = self.list_jobs(root)
        self._check_names(jobs)
        if again:
            self._remove(root)
        index = Index.read(self.spec, root)
        known = index.files if index else {}
        return [PrepareTask(self.spec, root, job.name, job.make, known.get(job.name)) for job in jobs], left_out

    def _checks(self, root: Path) -> list[PrepareTask]:
        """Tasks that check the existing label maps and make none."""
        return [PrepareTask(self.spec, root, name, None, None) for name in self.spec.label_names(root)]

    def _check_names(self, jobs: Sequence[PrepareJob]) -> None:
        """Check that the names, which come from the dataset's own lists, are those of files in the label folder."""
        seen: set[str] = set()
        for job in jobs:
            problem = name_problem(job.name) or ("is a path, not a name" if "/" in job.name else "")
            if not problem and (key := same_file_key(PurePosixPath(job.name))) in seen:
                problem = "stands twice"
            if problem:
                raise PrepareError(
                    f"{self.spec.title}: refused, the name {job.name!r} in its list of images {problem}. Nothing was "
                    "written. Fetch the archive that holds the list from its publisher."
                )
            seen.add(key)

    def _remove(self, root: Path) -> None:
        index_path(self.spec, root).unlink(missing_ok=True)
        for name in self.spec.label_names(root):
            self.spec.label_path(root, name).unlink()

    def _finish(self, root: Path, outcomes: Sequence[PrepareOutcome], left_out: dict[str, str]) -> PrepareSummary:
        files = {outcome.name: outcome.entry for outcome in outcomes if outcome.entry is not None}
        left_out = left_out | {o.name: o.reason for o in outcomes if o.state == "left out"}
        faulty = {outcome.name: outcome.reason for outcome in outcomes if outcome.state == "faulty"}
        if not files:
            reasons = [*faulty.values(), *left_out.values()] or ["it lists no images."]
            raise PrepareError(f"{self.spec.title}: nothing could be prepared. The first reason: {reasons[0]}")
        path = Index(self.spec.name, files, left_out, faulty).write(self.spec, root)
        made = sum(outcome.state == "made" for outcome in outcomes)
        return PrepareSummary(self.spec, made, len(files) - made, left_out, faulty, path)
