"""`ahs-seg serve`."""

from __future__ import annotations

from typing import Annotated

import typer

from ahs_seg.cli.options import DeviceOption, DtypeOption, NoCacheOption, OptionError, ThreadsOption
from ahs_seg.cli.output import say
from ahs_seg.io.extras import Runtime


def command(  # noqa: PLR0913  # a command line has many options
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            help="A model or run directory, a known checkpoint, owner/name or clip:owner/name; may be repeated.",
        ),
    ] = None,
    runtime: Annotated[
        Runtime, typer.Option(help="torch, or onnxruntime or openvino for what `ahs-seg export` has written.")
    ] = "torch",
    host: Annotated[
        str, typer.Option(help="Address to listen on: 127.0.0.1 is this machine only, 0.0.0.0 the network.")
    ] = ("127.0.0.1"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the page.")] = 7860,
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name under which the page is opened, such as that of a proxy; may be repeated."),
    ] = None,
    upload_mb: Annotated[int, typer.Option(min=1, help="Largest upload, in megabytes.")] = 20,
    megapixels: Annotated[int, typer.Option(min=1, help="Largest image, in million pixels.")] = 25,
    names: Annotated[int, typer.Option(min=1, help="Most class names in a request.")] = 1500,
    queue: Annotated[int, typer.Option(min=1, help="Most waiting requests.")] = 16,
    seconds: Annotated[int, typer.Option(min=1, help="Time limit of a request, in seconds.")] = 60,
    device: DeviceOption = "auto",
    dtype: DtypeOption = "fp32",
    threads: ThreadsOption = None,
    no_cache: NoCacheOption = False,
) -> None:
    """Serve a web page: upload an image, type class names, explore the result. Nothing leaves this machine.

    Without --model it serves what `ahs-seg quickstart` trained in this folder, and a baseline for drawn scenes.
    """
    import threading
    from contextlib import suppress

    from ahs_seg.io.extras import require_extra

    require_extra("web", "the web page", otherwise="use `ahs-seg segment`")
    from ahs_seg.demo.web.limits import Limits
    from ahs_seg.demo.web.serve import find_models, serving
    from ahs_seg.demo.web.server import ending_on_sigterm
    from ahs_seg.demo.web.session import Workbench
    from ahs_seg.inference.text_cache import TextCache
    from ahs_seg.io.cores import use_threads

    if runtime != "torch" and not model:
        raise OptionError(f"--runtime {runtime} runs exported models only; give one with --model.")
    limits = Limits(upload_mb=upload_mb, megapixels=megapixels, names=names, queue=queue, seconds=seconds)
    use_threads(threads)
    cache = TextCache() if no_cache else None
    models = find_models(model or [], device=device, dtype=dtype, cache=cache, runtime=runtime)
    bench = Workbench(models, limits)
    bench.ready()
    with ending_on_sigterm(), serving(bench, host=host, port=port, allowed_hosts=allowed_host or []) as address:
        say(f"Serving {', '.join(bench.models)} at {address} (Ctrl-C stops)")
        with suppress(KeyboardInterrupt):
            threading.Event().wait()
