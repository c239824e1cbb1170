"""Exported models on the Hugging Face hub."""

import os
import re
import shlex
from pathlib import Path

from pipestill.errors import UserError, first_line
from pipestill.export.directory import Origin

TOKEN = "HF_TOKEN"  # in the environment; one that the hub's client has stored is not used
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


def check_push(repo: str, origin: Origin, merge: bool) -> None:
    """Refuse, before a model is written, what could not be uploaded.

    Raises:
        UserError: the name is none of a repository, there is no token, or the hub would not find the base model.
    """
    if not REPOSITORY.fullmatch(repo):
        raise UserError(f"`{repo}` cannot be a repository of the hub: give its owner and its name, as owner/name")
    if not os.environ.get(TOKEN):
        raise UserError(f"there is no {TOKEN} in the environment: set it to a token of the hub that may write")
    if origin.adapter and not merge and origin.revision is None:
        raise UserError(
            f"from the hub, an adapter is loaded onto a base model that is there too, and `{origin.base}` is only on "
            "this machine: add `--merge`"
        )


def push(directory: Path, repo: str, *, private: bool) -> str:
    """Upload ``directory`` to ``repo``, which is made where it does not exist; returns its address.

    Args:
        directory: an exported model.
        repo: owner and name.
        private: whether a new repository is; one that exists stays as it is.

    Raises:
        UserError: the hub cannot be reached, or refuses; the directory is whole.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    api = HfApi(token=os.environ[TOKEN])
    try:
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(repo_id=repo, folder_path=directory, commit_message="Export by pipestill")
    except HfHubHTTPError as error:
        problem = _refusal(error.response.status_code) or first_line(error)
    except (OfflineModeIsEnabled, httpx2.HTTPError) as error:
        problem = f"the hub cannot be reached ({type(error).__name__})"
    except (OSError, RuntimeError, ValueError) as error:  # of the upload of single files
        problem = first_line(error)
    else:
        return str(address)
    again = f"hf upload {shlex.quote(repo)} {shlex.quote(str(directory))}{' --private' if private else ''}"
    raise UserError(f"{repo}: {problem}; {directory} is whole, and `{again}` uploads it")


def _refusal(status: int) -> str | None:
    """What a status of the hub's answer says in words."""
    return {
        401: f"the hub does not know the token in {TOKEN}: set one that is valid",
        403: f"the token in {TOKEN} may not write there: set one that may, or name a repository of your own",
        404: "the hub has no such owner or repository: correct the name",
    }.get(status)
