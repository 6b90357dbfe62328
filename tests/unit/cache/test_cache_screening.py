from __future__ import annotations

import pytest

from penstock_cache.domain.meaning.screening import refusal
from penstock_common.llm.personal import is_personal


@pytest.mark.parametrize(
    "text",
    [
        "and Germany?",
        "yes",
        "Yes, please.",
        "continue",
        "go on",
        "the second one",
        "What about the second option?",
        "Why is that?",
        "What does it cost?",
        "How does it work?",
        "und Deutschland?",
        "et pour l'Espagne ?",
        "¿y Alemania?",
        "weiter",
        "why not?",
        "...",
    ],
)
def test_a_follow_up_means_nothing_alone(text: str) -> None:
    assert refusal(text, "ann", 256) == "dependent"


@pytest.mark.parametrize(
    "text",
    [
        "What day is it?",
        "What's the weather in Oslo today?",
        "What is the latest price of copper?",
        "Who is currently the president of France?",
        "How much is a barrel of oil right now?",
        "Wie ist das Wetter in Bonn heute?",
        "Quelle heure est-il maintenant à Lyon ?",
        "¿Cuánto vale ahora el dólar?",
        "今天天气怎么样",
    ],
)
def test_what_depends_on_the_moment_is_not_matched(text: str) -> None:
    assert refusal(text, "ann", 256) == "moment"


@pytest.mark.parametrize(
    "text",
    ["Give me a random number", "Roll a die", "Tell me a joke", "Write another one", "Nenne mir eine Zufallszahl"],
)
def test_what_is_to_be_another_each_time_is_not_matched(text: str) -> None:
    assert refusal(text, "ann", 256) == "random"


@pytest.mark.parametrize(
    "text",
    [
        "What's my balance?",
        "When does my contract end?",
        "Summarise our invoice 4711",
        "Write to jane.doe@example.com about the party",
        "My name is Ann, what should I wear?",
        "What\u2019s my address?",
        "Wie hoch ist mein Guthaben?",
        "Wann kommt unsere Bestellung an?",
        "Quel est mon solde ?",
        "¿Cuál es mi saldo?",
        "Qual è il mio saldo?",
        "Call +49 170 1234567 for a taxi",
    ],
)
def test_what_is_about_a_person_is_for_that_person(text: str) -> None:
    assert refusal(text, "", 256) == "personal"
    assert is_personal(text)
    assert refusal(text, "ann", 256) is None


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of France?",
        "How do I reset my password?",
        "How can I cancel my subscription?",
        "Is it legal to record calls in Texas?",
        "Which docker command shows the containers that are currently up?",
        "I have an exam tomorrow and am nervous. Which organelle makes ATP in a cell?",
        "What is the time complexity of binary search?",
        "Does a landlord need to give me notice before entering my flat?",
        "Who was president of France in 1995?",
        "What does the latter half of the book of Isaiah deal with?",
        "Wie setze ich mein Passwort zurück?",
        "Comment changer mon mot de passe ?",
        "¿Cómo cambio mi contraseña?",
        "Explain the difference between a list and a tuple in Python 3.11.",
    ],
)
def test_what_stands_alone_and_is_for_everybody_is_matched(text: str) -> None:
    assert refusal(text, "", 256) is None


def test_a_text_with_more_words_than_the_model_reads_is_too_long() -> None:
    text = "What is the capital of France"
    assert refusal(text, "", 5) == "too_long"
    assert refusal(text, "", 6) is None
    assert refusal(text * 1000, "", 0) is None


@pytest.mark.parametrize(
    "text",
    [
        "Write to Anna Schmidt about the party",
        "Please write a short e-mail to Jürgen Öztürk.",
        "Schreib eine Nachricht an Anna Schmidt",
        "Draft a reminder for Kim Oduya",
        "Écris une lettre à Marie Dupont",
        "Escribe una carta a Juan Pérez",
        "Scrivi un messaggio a Mario Rossi",
        "Escreva uma mensagem para João Silva",
        "Schrijf een brief aan Jan Jansen",
        "Which of these is mine?",
        "我叫李雷，推荐一家餐厅",
        "What is the status of order 4711?",
    ],
)
def test_a_message_to_somebody_and_what_is_mine_are_personal(text: str) -> None:
    assert is_personal(text)


@pytest.mark.parametrize(
    "text",
    [
        "How deep is the mine?",
        "Where is the deepest coal mine?",
        "Write to disk and flush",
        "Write a letter to the editor",
        "Write a TypeScript React hook that debounces a value",
        "Write an AWS Lambda function that resizes pictures",
        "Write a unit test for React Router",
        "What is 2 + 2?",
    ],
)
def test_a_mine_and_a_letter_to_nobody_are_not(text: str) -> None:
    assert not is_personal(text)
