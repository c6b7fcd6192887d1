"""How a model says that it will not answer. Asked only of a text in which no answer could be read."""

from __future__ import annotations

import re

_REACH = 400

_VERBS = (
    r"(?:assist|help|provide|comply|fulfil+|answer|classify|label|categorize|analy[sz]e|continue|process|engage"
    r"|do (?:that|this)|generate|create|complete|discuss|respond|participate|support|offer|give|share|write|say)\b"
)

_REFUSAL = re.compile(
    r"\bi(?:'m| am) (?:very |really |so )?sorry,? (?:but )?(?:i(?!'m sorry)|as an)\b"
    rf"|\b(?:i|we) (?:really )?(?:can't|can ?not|won't|will not|must decline to|(?:am|'m) (?:not able|unable) to) {_VERBS}"
    rf"|\bi(?:'m| am) (?:not able|unable|not equipped) to {_VERBS}"
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


def looks_like_refusal(text: str) -> bool:
    """Return whether a text begins as refusals do, in one of the larger languages."""
    begin = " ".join(text[:_REACH].replace("’", "'").casefold().split())
    return bool(_REFUSAL.search(begin))
