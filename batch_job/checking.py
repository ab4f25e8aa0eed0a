"""`python -m batch_job check`: does this code fit the machine, the settings and the services it was started with?

A release runs it as a job of its own before any analysis meets the new code. It needs the environment of a job,
reads nobody's video and writes nothing.
"""

import logging
from collections.abc import Mapping
from contextlib import closing

from batch_job import logs
from batch_job.engines import detector_for, has_gpu, preference
from batch_job.errors import AnalysisError, RuntimeMismatch
from batch_job.main import fitting_manifest
from batch_job.models import trusted_model
from batch_job.scratch import scratch_folder
from batch_job.settings import Settings
from contract.exit_codes import EXIT_DONE, EXIT_GIVE_UP

logger = logging.getLogger(__name__)

_FRAME = (720, 1280)  # height and width of a usual video
_PATIENCE_SECONDS = 20.0


def check(environ: Mapping[str, str]) -> int:
    """Returns the exit code; the log says what does not fit."""
    logs.configure(level=environ.get("LOG_LEVEL", ""), analysis_id="none")
    try:
        settings = Settings.from_environ(environ)
        _load_models(settings)
        _ask_database(settings)
    except AnalysisError as exc:
        logger.error("does not fit", extra={"code": exc.code.value, "error": str(exc)})
        return EXIT_GIVE_UP
    logger.info("fits")
    return EXIT_DONE


def _load_models(settings: Settings) -> None:
    """Every model of the machine, in the engine that a job would take. Raises AnalysisError."""
    manifest = fitting_manifest(settings)
    order = preference(gpu=has_gpu(), precision=settings.precision)
    options = settings.identity.request.options
    try:
        import batch_job.running  # noqa: F401 - what decodes, tracks and draws
    except ImportError as exc:
        raise RuntimeMismatch(f"{exc.name} cannot be imported") from exc
    with scratch_folder(settings.scratch_dir) as folder:
        for model in manifest.models:
            trusted = trusted_model(manifest, model.name, options, engine=settings.engine, preference=order)
            detector_for(
                trusted,
                frame=_FRAME,
                image_size=None,
                precision=settings.precision,
                chunk_frames=settings.chunk_frames,
                scratch=folder,
            )
            logger.info("loaded", extra={"model": model.name, "engine": trusted.engine})


def _ask_database(settings: Settings) -> None:
    """Raises AnalysisError."""
    from batch_job.database import Database

    with closing(Database(settings.identity.database_url, patience_seconds=_PATIENCE_SECONDS)) as database:
        database.transact(lambda connection, _: connection.execute("SELECT 1"))
