"""What a model answered when it was asked for a better prompt, read into the new messages of a pass, or refused. Pure.

Nothing is mended that could change what a template says: a block is taken as it is written, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.answerwords import sample_answers
from harness.errors import listing
from harness.labelspace import normalize
from harness.parsing.cleaning import answer_text
from harness.prompt import MessageTemplate
from harness.records import ParseFailure
from harness.rendering import TASK_NAMES
from harness.suggestion import DEMONSTRATIONS, EXAMPLE, NONE, Digest
from harness.template import NO_FILES, TemplateError
from harness.templatenames import check_names, names_used

BEGIN = "{# output instructions #}"
END = "{#- end of output instructions #}"
"""Between these marks stands the paragraph that a later suggestion replaces; being comments, they are not sent."""

LEAST_WORDS = 4
"""Words of an instruction; what is shorter is none."""

MOST_CHARACTERS = 1_500
"""Characters of an instruction; what is longer is a model that does not stop."""

LONGEST_MESSAGES = 20_000
"""Characters that the messages of any prompt may get; those of a longer one may get `MOST_GROWTH` times as many."""

MOST_GROWTH = 5
"""How many times as long as they were messages may get; what is longer is a model that does not stop."""

ROLES = ("system", "developer", "user", "assistant")

_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^`\n]*)$")
_HEADING = re.compile(
    r"[\W_]*(?:(?:the|new|revised|updated)\W+)*(system|developer|user|assistant)\b[^.]{0,30}$", re.IGNORECASE
)
_MARKED = re.compile(r"\{#-?\s*output instructions\s*-?#\}.*?\{#-?\s*end of output instructions\s*-?#\}", re.DOTALL)
_LEAD = re.compile(r"(?:sure|certainly|of course|okay|ok|here(?:'s| is| are))\b[^\n]{0,120}[:!.]\s*\n+", re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*[\"')\]]*\s*|\n+")
_ABOUT_EXAMPLES = re.compile(rf"[^.!?\n]*\b(?:{EXAMPLE}|{NONE})\b[^.!?\n]*[.!?]?")
_JINJA = re.compile(r"\{[{%#]")


class UnusableAnswer(Exception):  # noqa: N818 - it is caught and told with the answer
    """No prompt can be made of an answer; says why, as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Reworded:
    """A pass in other words.

    Attributes:
        messages: The new templates, in the order of the pass.
        reasons: What the model said beside them.
        notes: What a person should know of how they were read.
    """

    messages: tuple[str, ...]
    reasons: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Block:
    role: str | None
    text: str
    closed: bool


def read_messages(raw: str, digest: Digest, *, cut: bool, files: Mapping[str, str] = NO_FILES) -> Reworded:
    """Return the messages that an answer holds in fenced blocks, each under its role.

    Of several blocks with one role the last counts, because drafts come first. A message without a block stays as it was.
    Blocks without roles are the messages where there are as many of them.

    Args:
        raw: The answer.
        digest: What was asked.
        cut: Whether the tokens ran out.
        files: Texts that the templates may include.

    Raises:
        UnusableAnswer: There is no block, one is cut off, a template is not valid or lacks what it must use, or nothing
            is changed.
    """
    messages = digest.target.messages
    text = _without_thoughts(raw, cut=cut)
    found, prose = _split(text)
    if cut and (not found or not found[-1].closed):
        raise UnusableAnswer("it was cut off before the end. Allow it more: --param max_tokens=4000")
    new, notes = _matched(found, messages)
    reworded = tuple(
        _ended(block, old.source) if block is not None else old.source for block, old in zip(new, messages, strict=True)
    )
    if all(_same(each, old.source) for each, old in zip(reworded, messages, strict=True)):
        raise UnusableAnswer("it leaves the prompt as it is.")
    _check_length(reworded, messages)
    _check(reworded, digest, files)
    if _uses_labels([each.source for each in messages], files) and not _uses_labels(reworded, files):
        notes.append(
            "the labels are no longer taken from {{ labels }}: the prompt will not follow the dataset's labels"
        )
    return Reworded(reworded, prose, tuple(notes))


def _check_length(new: Sequence[str], old: Sequence[MessageTemplate]) -> None:
    before, after = sum(len(each.source) for each in old), sum(map(len, new))
    most = max(LONGEST_MESSAGES, MOST_GROWTH * before)
    if after > most:
        raise UnusableAnswer(
            f"its messages may have {most:,} characters, but have {after:,}; before they had {before:,}."
        )


def _uses_labels(sources: Sequence[str], files: Mapping[str, str]) -> bool:
    return any(not TASK_NAMES.isdisjoint(names_used(source, files)) for source in sources)


def _same(new: str, old: str) -> bool:
    return new.split() == old.split()


def _without_thoughts(raw: str, *, cut: bool) -> str:
    """Return an answer without the reasoning before it; tags in the middle of it belong to the template."""
    if not raw.lstrip().startswith(("<", "[THINK]")):
        return raw
    try:
        return answer_text(raw, cut)
    except ParseFailure as failure:
        raise UnusableAnswer(f"{failure.why}.") from None


def _split(text: str) -> tuple[list[_Block], str]:
    """Return the fenced blocks of a text, and what stands around them."""
    blocks: list[_Block] = []
    prose: list[str] = []
    fence, role = "", None
    inside: list[str] = []
    for line in text.replace("\r\n", "\n").split("\n"):
        mark = _FENCE.match(line)
        if not fence and mark is not None:
            fence, inside = mark[1], []
            role = _role_of(mark[2]) or _heading_role(prose)
        elif fence and mark is not None and mark[1].startswith(fence) and not mark[2].strip():
            blocks.append(_Block(role, "\n".join(inside), closed=True))
            fence = ""
        elif fence:
            inside.append(line)
        else:
            prose.append(line)
    if fence:
        blocks.append(_Block(role, "\n".join(inside), closed=False))
    return blocks, "\n".join(prose).strip()


def _role_of(info: str) -> str | None:
    words = re.findall(r"\w+", info.casefold())
    return next((word for word in words if word in ROLES), None)


def _heading_role(prose: list[str]) -> str | None:
    """Return the role that the last line before a block names, as "**System message:**"; the line is then no prose."""
    while prose and not prose[-1].strip():
        prose.pop()
    found = _HEADING.match(prose[-1]) if prose else None
    if found is None:
        return None
    prose.pop()
    return found[1].casefold()


def _matched(found: Sequence[_Block], messages: Sequence[MessageTemplate]) -> tuple[list[str | None], list[str]]:
    """Return for each message its block's text, None where it has none; and notes."""
    if not found:
        raise UnusableAnswer("it has no fenced block with a message.")
    roles = [each.role for each in messages]
    if strange := [each.role for each in found if each.role is not None and each.role not in roles]:
        raise UnusableAnswer(
            f"it has a message of '{strange[0]}', but the prompt must have the same ones as before: {listing(roles)}."
        )
    named = [each for each in found if each.role is not None]
    if not named:
        if len(found) < len(messages):
            raise UnusableAnswer(
                f"it has {len(found)} block without a role for {len(messages)} messages: {listing(roles)}."
            )
        return [each.text for each in found[-len(messages) :]], []
    if len(set(roles)) < len(roles):  # turns: only their order tells them apart
        last = named[-len(roles) :]
        if [each.role for each in last] != roles:
            raise UnusableAnswer(f"its messages must be in the same order as before: {listing(roles)}.")
        return [each.text for each in last], []
    by_role = {each.role: each.text for each in named}
    notes = [f"the {role} message stays as it was: the answer has none" for role in roles if role not in by_role]
    return [by_role.get(role) for role in roles], notes


def _ended(new: str, old: str) -> str:
    """Return a template that ends its last line where the one before did, without empty lines around it."""
    kept = new.strip("\n").rstrip()
    if not kept.strip():
        raise UnusableAnswer("it has an empty message.")
    return f"{kept}\n" if old.endswith("\n") else kept


def _check(messages: Sequence[str], digest: Digest, files: Mapping[str, str]) -> None:
    for old, new, kept in zip(digest.target.messages, messages, digest.kept, strict=True):
        where = f"the {old.role} message"
        if errors := check_names(new, digest.names, files):
            first = errors[0]
            raise UnusableAnswer(f"{where}, line {first.line}: {first.message}")
        used = names_used(new, files)
        if lost := [name for name in kept if name not in used]:
            braces = listing(f"{{{{ {name} }}}}" for name in lost)
            raise UnusableAnswer(f"{where} must use {braces}, as before, but does not.")


# --- the form alone ---------------------------------------------------------------------------------------------------


def read_instruction(raw: str, digest: Digest, *, cut: bool, files: Mapping[str, str] = NO_FILES) -> Reworded:
    """Return the messages of a pass with a paragraph about the form of the answer, which an answer holds.

    The examples in it are the harness's own: `EXAMPLE` and `NONE` become what the output format writes, and where the
    paragraph has no right example, one is added. So a small model can word the instruction and cannot get the form wrong.

    Raises:
        UnusableAnswer: There is no instruction, it repeats an example of the request, does not stop, or is no valid Jinja.
    """
    paragraph = _paragraph(_without_thoughts(raw, cut=cut), cut=cut)
    if normalize(paragraph) in {normalize(answer) for _, _, answer in DEMONSTRATIONS.values()}:
        raise UnusableAnswer("it only repeats an example of the request.")
    if len(re.findall(r"\w+", paragraph)) < LEAST_WORDS:
        raise UnusableAnswer("it is too short for an instruction.")
    if len(paragraph) > MOST_CHARACTERS:
        raise UnusableAnswer(f"it must have {MOST_CHARACTERS:,} characters at most, but has {len(paragraph):,}.")
    if _JINJA.search(paragraph):
        raise UnusableAnswer("it must be a paragraph of words, but has Jinja in it.")
    old = tuple(each.source for each in digest.target.messages)
    new = placed(digest, f"{BEGIN}\n{_with_examples(paragraph, digest).rstrip()}{END}")
    if new == old:
        raise UnusableAnswer("it leaves the prompt as it is.")
    _check(new, digest, files)
    return Reworded(new, "", ())


def _paragraph(text: str, *, cut: bool) -> str:
    """Return the instruction in an answer: without fence, lead-in and quotes, every sentence once, none unfinished."""
    blocks, prose = _split(text)
    body = blocks[0].text if blocks and blocks[0].text.strip() else prose
    body = _LEAD.sub("", body.strip(), count=1).strip()
    pieces = _SENTENCE.findall(body)
    if cut and pieces and not re.search(r"[.!?][\"')\]]*\s*$", pieces[-1]):
        pieces = pieces[:-1]
    seen: set[str] = set()
    kept = []
    for piece in pieces:
        key = normalize(piece)
        if key and key in seen:
            continue  # small models go round in circles
        seen.add(key)
        kept.append(piece)
    joined = re.sub(r"\n{2,}", "\n", "".join(kept)).strip()
    return joined[1:-1].strip() if len(joined) > 1 and joined[0] == joined[-1] and joined[0] in "\"'`" else joined


def _with_examples(paragraph: str, digest: Digest) -> str:
    """Return an instruction with right answers in it, as the output format writes them."""
    answers = sample_answers(digest.target, digest.space)
    right, none = (answers[0], answers[-1]) if answers else ("", "")
    if not answers or "\n" in right + none:  # several lines do not go into a sentence
        text = _ABOUT_EXAMPLES.sub("", paragraph).strip()
        return f"{text}\nExample:\n{_plain(right)}\nIf nothing applies:\n{_plain(none)}" if answers else text
    text = paragraph
    for word, lead, answer in ((EXAMPLE, "Example", right), (NONE, "If nothing applies", none)):
        if re.search(rf"\b{word}\b", text):
            text = _plain(answer).join(re.split(rf"\b{word}\b", text))
        else:
            text = f"{text} {lead}: {_plain(answer)}"
    return text


def _plain(answer: str) -> str:
    """Return an answer as a template that says just that."""
    return f"{{% raw %}}{answer}{{% endraw %}}" if _JINJA.search(answer) else answer


def placed(digest: Digest, block: str) -> tuple[str, ...]:
    """Return the messages of a pass with a block about the form in its place.

    That is, in this order: where the marks of an earlier one stand; at the end of the last system message; at the end of
    the last user message, if its last paragraph has no input in it; else at the beginning of that message.
    """
    sources = [each.source for each in digest.target.messages]
    for at, source in enumerate(sources):
        if _MARKED.search(source):
            sources[at] = _MARKED.sub(lambda _: block, source, count=1)
            return tuple(sources)
    roles = [each.role for each in digest.target.messages]
    at = max((n for n, role in enumerate(roles) if role in ("system", "developer")), default=-1)
    is_user = at < 0
    if is_user:
        at = max(n for n, role in enumerate(roles) if role == "user")
    source = sources[at]
    body = source.rstrip()
    end = "\n" if source.endswith("\n") else ""
    if is_user and _says_input(body.split("\n\n")[-1], digest):
        sources[at] = f"{block}\n\n\n{source}"  # a comment takes the line end behind it with it
    else:
        sources[at] = f"{body}\n\n{block}{end}"
    return tuple(sources)


def _says_input(paragraph: str, digest: Digest) -> bool:
    """Return whether a paragraph of a template takes something from the sample, or cannot be read by itself."""
    try:
        return not digest.columns.isdisjoint(names_used(paragraph))
    except TemplateError:
        return True
