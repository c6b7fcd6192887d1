"""How a model says that it will not answer. Asked only of a text in which no answer could be read."""

from __future__ import annotations

from harness.regexes import regex

_REACH = 400

_VERBS = (
    r"(?:assist|help|provide|comply|fulfil+|answer|classify|label|categori[sz]e|analy[sz]e|continue|process|engage"
    r"|do (?:that|this|so)|generate|create|complete|discuss|respond|participate|support|offer|give|share|write|say)\b"
)
_DOING = (
    r"(?:assisting|helping|providing|answering|classifying|label+ing|categori[sz]ing|analy[sz]ing|engaging|doing"
    r"|responding)\b"
)
_ASIDE = r"(?:(?:in good conscience|unfortunately|respectfully|politely|therefore|simply|really|however),? )?"
_MUST = r"(?:(?:must|have to|need to|will|would|'ll|'d|shall|am going to) )?"

_REFUSAL = regex(
    r"\bi(?:'m| am) (?:very |really |so )?sorry,? (?:but )?(?:i(?!'m sorry)|as an)\b"
    rf"|\b(?:i|we) {_ASIDE}(?:can'?t|can ?not|won't|will not|must not),? {_ASIDE}(?:be able to )?{_VERBS}"
    rf"|\b(?:i|we)(?: am|'m|'re| are) {_ASIDE}(?:not able|unable|not equipped|not allowed|not willing|unwilling) to {_VERBS}"
    rf"|\A\W*(?:unable|not able) to {_VERBS}"
    rf"|\b(?:i|we) ?{_MUST}{_ASIDE}(?:decline|refuse)"
    rf"(?: (?:to {_VERBS}|(?:this|that|your|the) (?:request|task|question))|\W*\Z)"
    rf"|\bi(?: do not| don't|'m not| am not)(?: feel)? comfortable (?:with )?(?:{_DOING}|this\b|that\b)"
    rf"|\bit (?:would be|is|would not be|isn't|wouldn't be) (?:in)?appropriate for me to {_VERBS}"
    r"|\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b"
    r"|\bas an? (?:[\w-]+ ){0,3}?(?:[\w-]+-)?(?:ai|chatbot|assistant|language model),? i (?:do not|don't) have"
    r"|\b(?:es )?tut mir leid, (?:aber )?(?:ich|das)|\bals ki\b|\bals sprachmodell\b|\bich kann (?:dabei|dir|ihnen) nicht"
    r"|\bje (?:suis désolée?|regrette|m'excuse),? (?:mais )?je\b|\ben tant qu'(?:ia|intelligence|assistant|modèle)\b"
    r"|\bje ne (?:peux|suis pas en mesure)"
    r"|\blo siento,? (?:pero )?no\b|\bcomo (?:una? )?(?:ia|inteligencia artificial|modelo de)\b"
    r"|\bno puedo (?:ayudar|asistir)"
    r"|\bmi dispiace,? (?:ma )?non\b|\bnon posso (?:aiutar|assister|rispond)"
    r"|\b(?:desculpe|sinto muito),? (?:mas )?(?:eu )?não\b"
    r"|извините,? (?:но )?я|я не могу (?:помочь|ответить|выполнить)|как (?:ии|языковая модель)"
    r"|(?:很?抱歉|对不起)[，,]?.{0,10}(?:无法|不能)|我(?:无法|不能)(?:提供|回答|协助|帮助)|作为(?:一个)?(?:人工智能|ai)"
    r"|申し訳(?:ありません|ございません)が|お手伝いできません"
)


# What a text tells that somebody else said is no refusal: "The agent said I can't help you."
_REPORTED = regex(
    r"\b(?:said|says|told (?:\w+ )?\w+|tells (?:\w+ )?\w+|wrote|writes|repl(?:ied|ies)|answer(?:ed|s)|respond(?:ed|s)"
    r"|claim(?:ed|s)|insist(?:ed|s))(?: that)?\W*\Z"
)


def looks_like_refusal(text: str) -> bool:
    """Return whether a text begins as refusals do, in one of the larger languages, and not with a report of one."""
    begin = " ".join(text[:_REACH].replace("’", "'").casefold().split())
    return any(not _REPORTED.search(begin[: found.start()]) for found in _REFUSAL.finditer(begin))
