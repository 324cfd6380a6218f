import pytest

from cia.answering.abstention import rarity_in, weigh


def evidence(shop, question):
    return weigh(question, shop.search(question).results, rarity_in(shop, None))


@pytest.mark.parametrize(
    "question",
    [
        "What does `voucher_discount` return?",
        "Where is `Basket.checkout` defined?",
        "Who calls total_price?",
        "Which function adds up the prices of all lines?",
        "How is a receipt handed to the mail server?",
    ],
)
def test_a_question_about_the_code_is_answerable(shop, question):
    assert evidence(shop, question).answerable


@pytest.mark.parametrize(
    "question",
    [
        "What does `voucher_rotation` return?",
        "Where is `Basket.refund_all` defined?",
        "How are Kafka offsets committed?",
        "How does the Bluetooth pairing work?",
        "Where is the GraphQL schema validated?",
    ],
)
def test_a_question_about_something_else_is_not(shop, question):
    assert not evidence(shop, question).answerable


def test_a_name_that_exists_nowhere_is_named_once(shop):
    assert evidence(shop, "Where is `Basket.refund_all` defined?").missing_names == ("Basket.refund_all",)


def test_a_name_is_known_without_its_underscores(shop):
    assert evidence(shop, "What is init of Basket, `init`?").missing_names == ()


def test_words_of_the_asking_do_not_count(shop):
    plain = evidence(shop, "voucher discount")
    assert evidence(shop, "Can you tell me which function returns the voucher discount?").coverage == plain.coverage == 1.0


def test_nothing_found_is_not_answerable(shop):
    assert not weigh("voucher", [], rarity_in(shop, [])).answerable
