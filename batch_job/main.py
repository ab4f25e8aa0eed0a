"""Wiring: settings, signals, collaborators, and what becomes of an error."""

import logging
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from batch_job import logs
from batch_job.engines import has_gpu, preference
from batch_job.errors import AnalysisError, ClaimLost, Interrupted, RuntimeMismatch, SettingsInvalid, named
from batch_job.models import TrustedModel, read_manifest, trusted_model
from batch_job.scratch import scratch_folder
from batch_job.settings import Identity, Settings
from batch_job.stopping import StopSignal
from contract.exit_codes import EXIT_DONE, EXIT_GIVE_UP, EXIT_TRY_AGAIN
from contract.jobs import is_last_attempt
from contract.manifest import RuntimeManifest
from contract.statuses import Stage

if TYPE_CHECKING:
    from batch_job.claim import Claim
    from batch_job.database import Database

logger = logging.getLogger(__name__)


def main(environ: Mapping[str, str]) -> int:
    """One attempt at one analysis. Returns the exit code; AWS Batch's retry rules read it."""
    identity = Identity.from_environ(environ)
    logs.configure(  # before the settings are read, whose faults are logged
        level=environ.get("LOG_LEVEL", ""),
        analysis_id=str(identity.request.analysis_id) if identity else "unknown",
    )
    if identity is None:
        return _unheard(environ)
    from batch_job.claim import Claim, Token
    from batch_job.database import Database
    from batch_job.machine import this_machine

    stop = StopSignal(exit_code=EXIT_TRY_AGAIN)
    token = Token(
        analysis_id=identity.request.analysis_id,
        job_id=identity.job_id,
        attempt=identity.attempt,
        together=identity.array is not None,
        on_demand=identity.request.on_demand,
    )
    with stop.listening(), closing(Database(identity.database_url, pause=stop.pause)) as database:
        claim = Claim(database, token, this_machine(environ))
        try:
            _attempt(environ, database, claim, stop)
        except ClaimLost as exc:
            logger.info("nothing to do", extra={"state": str(exc)})
        except AnalysisError as error:
            return _failed(error, claim)
        except Exception as exc:  # noqa: BLE001 - whatever it is, the user must hear of it
            return _failed(named(exc), claim)
        return EXIT_DONE


def _attempt(environ: Mapping[str, str], database: "Database", claim: "Claim", stop: StopSignal) -> None:
    """Everything that can be refused without the video is refused before it is fetched."""
    settings = Settings.from_environ(environ)
    request = settings.identity.request
    manifest = fitting_manifest(settings)
    order = preference(gpu=has_gpu(), precision=settings.precision)
    trusted = trusted_model(manifest, request.model, request.options, engine=settings.engine, preference=order)
    claim.take()
    logger.info("claimed", extra={"attempt": settings.identity.attempt, "engine": trusted.engine})
    with scratch_folder(settings.scratch_dir) as folder:
        _analyse(settings, trusted, database, claim, stop, folder)


def fitting_manifest(settings: Settings) -> RuntimeManifest:
    """What the machine image promises. Raises RuntimeMismatch where code or settings need something else."""
    manifest = read_manifest(settings.runtime_manifest)
    if manifest.driver_floor is not None and not has_gpu():  # torch would go on, slowly, on the CPU
        raise RuntimeMismatch("the machine image is for machines with a GPU, and this container sees none")
    if settings.decoder == "gpu" and not has_gpu():
        raise RuntimeMismatch("DECODER=gpu is asked for on a machine without a GPU")
    return manifest


def _analyse(
    settings: Settings, trusted: TrustedModel, database: "Database", claim: "Claim", stop: StopSignal, folder: Path
) -> None:
    try:  # what the machine image carries; not before the manifest says that it fits
        from batch_job.media import MediaBucket
        from batch_job.pipeline import Stopwatch
        from batch_job.running import opened_analysis
        from batch_job.shares import Share, run_share
        from batch_job.store import Store
    except ImportError as exc:
        raise RuntimeMismatch(f"{exc.name} cannot be imported") from exc
    watch = Stopwatch()
    identity, results = settings.identity, Store(database, claim)
    request = identity.request
    share = None
    if identity.array is not None and claim.token.together:
        index, size = identity.array
        share = Share(index=index, size=size, repeated=identity.attempt > 1 or request.on_demand)
    path = folder / "video"
    with closing(MediaBucket(settings.media_bucket, halt=stop.check, pause=stop.pause)) as bucket:
        claim.enter(Stage.FETCHING)
        with (
            bucket.arriving(request.video_key, path, watch=watch, etag=request.video_etag) as file,
            opened_analysis(
                file,
                request=request,
                trusted=trusted,
                precision=settings.precision,
                decode_on_gpu=settings.decoder == "gpu",
                chunk_frames=settings.chunk_frames,
                results=results,
                pictures=bucket,
                scratch=folder,
                watch=watch,
                halt=stop.check,
            ) as analysis,
        ):
            how = settings.precision, settings.decoder, settings.chunk_frames
            inputs = " ".join(map(str, (file.etag, trusted.digests, trusted.engine, *how)))
            if not results.made_from(inputs):
                logger.warning("begun anew", extra={"reason": "another video, model, engine or setting"})
            if share is not None and claim.token.together:
                summary = run_share(analysis, share, results)
            else:
                summary = analysis.run()
    if summary is not None:
        done = {"frames": summary.frames, "detections": summary.detections, "tracks": summary.tracks}
        logger.info("analysis finished", extra=done | {"seconds": watch.seconds()})


def _failed(error: AnalysisError, claim: "Claim") -> int:
    """Leaves the claim standing for the next attempt where one may help, and else tells the user.

    A failure from before the claim takes the claim first, so that it too is fenced: a second container for an
    analysis that is finished or in other hands changes nothing.
    """
    unexpected = type(error) is AnalysisError
    logger.log(
        logging.ERROR if unexpected else logging.WARNING,
        "analysis failed",
        extra={"code": error.code.value, "error": str(error), "attempt": claim.token.attempt},
        exc_info=(error.__cause__ or error) if unexpected else None,
    )
    if error.retryable and not is_last_attempt(claim.token.attempt, on_demand=claim.token.on_demand):
        return EXIT_TRY_AGAIN
    if isinstance(error, Interrupted):
        # Spot, the time limit or TerminateJob? Only AWS Batch knows, and its event closes the analysis.
        return EXIT_TRY_AGAIN
    try:
        if not claim.taken:
            claim.take()
        claim.fail(error)
    except ClaimLost as exc:
        logger.info("nothing to do", extra={"state": str(exc)})
        return EXIT_DONE
    except AnalysisError as exc:
        logger.warning("the failure could not be stored", extra={"error": str(exc)})
        if exc.retryable:  # the database is away, or we are asked to stop: another attempt may tell
            return EXIT_TRY_AGAIN
    except Exception:  # the first failure must not be hidden by this one
        logger.exception("the failure could not be stored")
    return EXIT_GIVE_UP


def _unheard(environ: Mapping[str, str]) -> int:
    """Not even the analysis is known, so only the log and the exit code can tell."""
    try:
        Settings.from_environ(environ)
    except SettingsInvalid as exc:
        logger.error("analysis failed", extra={"code": exc.code.value, "error": str(exc)})
    return EXIT_GIVE_UP
