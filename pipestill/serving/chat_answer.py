"""Answers of a chat request, all at once."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipestill.io.records import Json
from pipestill.serving.chat_request import Chat
from pipestill.serving.choice import Choice
from pipestill.serving.infer import shown
from pipestill.serving.serving import Answered, Serving

T = TypeVar("T")
SAID = frozenset({"model_name", "prediction", "rationale"})  # of a reply, elsewhere in an answer


def usage_of(answers: Sequence[Answered]) -> Json:
    """Tokens of a request: of its prompt, and of all its answers."""
    prompt, completion = answers[0].reply["prompt_tokens"], sum(each.reply["written_tokens"] for each in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def reasoning_of(answered: Answered) -> Json:
    """What was written before an answer, where the model writes such."""
    rationale = answered.reply.get("rationale")
    return {} if rationale is None else {"reasoning_content": rationale}


def end_of(choice: Choice, answered: Answered) -> Json:
    """Why an answer ended, and what the experiment knows beside it."""
    finish = "stop" if choice.stopped or answered.reply["ended"] else "length"
    known = {name: value for name, value in shown(answered).items() if name not in SAID}
    own = {"seed": answered.asked.target.seed, **known, "cropped": answered.reply["cropped"]}
    return {"finish_reason": finish, "logprobs": None, "pipestill": own}


async def together(works: Sequence[Awaitable[T]]) -> list[T]:
    """The results of all; when one fails, the others are given up."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def completed(serving: Serving, request: Request, chat: Chat) -> Response:
    """All answers at once."""
    choices = [Choice(chat.body.stop) for _ in chat.asked]
    works = [
        serving.answer(asked, choice.heard if chat.body.stop else None)
        for asked, choice in zip(chat.asked, choices, strict=True)
    ]
    answers = await serving.until(request, together(works))
    rows = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": choice.text if choice.stopped else answered.reply["prediction"],
                **reasoning_of(answered),
            },
            **end_of(choice, answered),
        }
        for index, (choice, answered) in enumerate(zip(choices, answers, strict=True))
    ]
    return JSONResponse({**chat.head, "choices": rows, "usage": usage_of(answers)}, headers=answers[0].headers)
