"""Requests to LLMs and their answers as conversations that a person reads. Pure.

Known are OpenAI's chat completions, completions, embeddings and Responses, and Anthropic's messages. None
stands for what is of another shape: somebody else shows it better.
"""

from llm_fallback.conversation.answers import answer_text
from llm_fallback.conversation.recognition import is_api_path, is_stream, may_be_answer, may_be_request
from llm_fallback.conversation.requests import request_text
from llm_fallback.conversation.streams import only_the_beginning, stream_text
from llm_fallback.conversation.timing import Arrivals

__all__ = [
    "Arrivals",
    "answer_text",
    "is_api_path",
    "is_stream",
    "may_be_answer",
    "may_be_request",
    "only_the_beginning",
    "request_text",
    "stream_text",
]
