"""Sharing the images of a batch among local processes, or the workers of a Dask cluster."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from blunet import __version__
from blunet.errors import InputError, describe_error
from blunet.jobs.events import Cancelled, CancelToken, Skipped
from blunet.jobs.image_segmentation import Event, ImageWork
from blunet.jobs.segmentation_inputs import Input
from blunet.packed.packed_model import PackedModel
from blunet.segmentation.predictor import Predictor

if TYPE_CHECKING:
    from distributed import Client, Future

#: Tasks that are sent ahead to each worker: the graph stays small, whatever the number of images.
AHEAD = 3
#: Seconds to wait for a scheduler, and for one that has stopped answering.
PATIENCE = 10.0
#: Seconds between two looks at what is done, and at whether the batch was cancelled.
POLL = 0.5
#: One image at a time in each process, with all threads of the worker.
_at_work = threading.Lock()


@dataclass(frozen=True)
class Cluster:
    """Who shares the work: `workers` processes of one thread on this computer, or the workers of a scheduler.

    Attributes
    ----------
    workers : int or None
        Number of local processes.
    scheduler : str or None
        Address of a Dask scheduler, such as "tcp://node1:8786". Its workers see the same files under the same names.

    Raises
    ------
    InputError
        If both or none are given, or the number is not positive.
    """

    workers: int | None = None
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if (self.workers is None) == (self.scheduler is None):
            raise InputError("Give either a number of workers or the address of a scheduler.")
        if self.workers is not None and self.workers < 1:
            raise InputError(f"The number of workers is {self.workers}; give at least 1.")


def run_on_cluster(
    inputs: Sequence[Input], work: ImageWork, model: Predictor, cluster: Cluster, cancel: CancelToken
) -> Iterator[Event]:
    """Segment images side by side.

    The model is sent once to each worker. A worker that dies costs the image it was working on, which another one then
    does; an image at which three workers die is skipped.

    Parameters
    ----------
    inputs : sequence of Input
        With paths that the workers know.
    work : ImageWork
    model : Predictor
        A packed model.
    cluster : Cluster
    cancel : CancelToken

    Yields
    ------
    The events of each image, in the order in which images are finished.

    Raises
    ------
    InputError
        If dask.distributed is missing, the model is none of the packed engine, the scheduler does not answer, stops
        answering, or its workers lack this version of the program.
    Cancelled
        If the token was cancelled; the images that workers had begun are given up.
    """
    if not isinstance(model, PackedModel):
        raise InputError("Workers run .blunet models only; give one, or leave out workers and scheduler.")
    name = f"blunet-{uuid.uuid4().hex}"
    with _connected(cluster) as client:
        _check_versions(client)
        client.register_plugin(_make_plugin(model), name=name)
        try:
            yield from _follow(client, inputs, work, name, cancel)
        except BaseException:
            _stop_all(client, name)
            raise
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be what has failed
                client.unregister_worker_plugin(name)


def _follow(
    client: Client, inputs: Sequence[Input], work: ImageWork, name: str, cancel: CancelToken
) -> Iterator[Event]:
    """Send images to the workers, a few ahead, and yield the events of those that are done."""
    from distributed import wait
    from distributed.client import FuturesCancelledError

    gone = InputError(
        "The scheduler has stopped answering. What was finished is kept; repeat the command with --resume."
    )
    waiting = list(reversed(inputs))
    running: dict[Future[Any], Input] = {}
    heard = time.monotonic()
    while waiting or running:
        cancel.check()
        threads = client.scheduler_info(n_workers=-1)["workers"]
        while waiting and len(running) < AHEAD * max(len(threads), 1):
            each = waiting.pop()
            running[client.submit(_segment, each, work, name, pure=False)] = each
        try:
            with contextlib.suppress(TimeoutError), client.as_current():
                wait(list(running), timeout=POLL, return_when="FIRST_COMPLETED")
        except FuturesCancelledError as e:
            raise gone from e
        if client.status == "running":
            heard = time.monotonic()
        elif time.monotonic() - heard > PATIENCE:
            raise gone
        for future in [each for each in running if each.done()]:
            if future.status in ("lost", "cancelled"):
                raise gone
            each = running.pop(future)
            yield from _events_of(future, each)


def _events_of(future: Future[Any], each: Input) -> list[Event]:
    """Return what a worker says about an image, or why it says nothing."""
    try:
        events: list[Event] = future.result()
    except Cancelled:
        raise
    except Exception as e:
        reason = "three workers died at it" if type(e).__name__ == "KilledWorker" else describe_error(e)
        return [Skipped(each.path, f"'{each.path}' could not be segmented by a worker: {reason}.")]
    return events


def _segment(each: Input, work: ImageWork, name: str) -> list[Event]:
    """Segment an image on a worker, with the model of the plugin of this name."""
    from distributed import get_worker

    plugin: Any = get_worker().plugins[name]
    with _at_work:
        return list(work.run(each, plugin.model, _WorkerToken(name)))


def _make_plugin(model: PackedModel) -> Any:
    """Return a plugin that keeps the model on every worker, also on those that join later."""
    from distributed import WorkerPlugin

    class ModelPlugin(WorkerPlugin):
        """Keeps the model, and runs it with the threads of the worker."""

        def __init__(self, parts: tuple[Any, ...]) -> None:
            self.parts = parts

        def setup(self, worker: Any) -> None:
            weights, info, path = self.parts
            self.model = PackedModel(weights, info, path, threads=worker.state.nthreads)

    return ModelPlugin((model.weights, model.info, model.path))


class _WorkerToken(CancelToken):
    """Is cancelled when the batch is, which it asks the scheduler for at most once a second."""

    def __init__(self, name: str) -> None:
        super().__init__()
        from distributed import Event, get_client

        self._flag = Event(name, client=get_client())
        self._asked = time.monotonic()

    def check(self) -> None:
        """Raise Cancelled if the batch was cancelled."""
        if time.monotonic() - self._asked > 1:
            self._asked = time.monotonic()
            if self._flag.is_set():
                self.cancel()
        super().check()


def _stop_all(client: Client, stop: str) -> None:
    """Tell the workers to give up what they do."""
    from distributed import Event

    with contextlib.suppress(Exception):  # the scheduler may be what has failed
        if client.status == "running":
            Event(stop, client=client).set()


@contextlib.contextmanager
def _connected(cluster: Cluster) -> Iterator[Client]:
    """Start the local processes, or connect to the scheduler."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as e:
        raise InputError(
            "Workers need dask.distributed, which is not installed: pip install napari-blunet[cluster]."
        ) from e
    with contextlib.ExitStack() as stack:
        try:
            address: Any = cluster.scheduler
            if cluster.workers is not None:
                address = stack.enter_context(
                    LocalCluster(
                        n_workers=cluster.workers, threads_per_worker=1, processes=True, dashboard_address=None
                    )
                )
            client = stack.enter_context(Client(address, timeout=PATIENCE, set_as_default=False))
        except (OSError, TimeoutError, ValueError) as e:
            named = f"The scheduler '{cluster.scheduler}'" if cluster.scheduler else "The local workers"
            raise InputError(f"{named} cannot be reached: {describe_error(e)}.") from e
        yield client


def _check_versions(client: Client) -> None:
    """Check that all workers have this version of the program."""
    found = client.run(_version, on_error="return").values()
    for error in found:
        if isinstance(error, ImportError):
            raise InputError(
                f"The workers cannot import napari-blunet ({error}); install version {__version__} on them."
            )
    others = sorted({version for version in found if isinstance(version, str) and version != __version__})
    if others:  # other errors are those of workers that have just gone
        raise InputError(
            f"Workers have version {', '.join(others)} of napari-blunet, this computer {__version__}; install the same."
        )


def _version() -> str:
    return __version__
