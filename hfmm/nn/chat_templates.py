"""LLaVA's conversation templates, as chat templates that any processor takes and saves.

| name | a turn | an answer ends with |
|---|---|---|
| `plain` | pictures, then the answer: nothing else (feature alignment) | a new line |
| `v0` | `Human: ...###Assistant: ...###` | `###` |
| `v0_mmtag` | as `v0`, pictures between `<Image>` and `</Image>` | `###` |
| `v1` | `USER: ... ASSISTANT: ...</s>` | the tokenizer's end |
| `llama_2` | `[INST] ... [/INST] ... </s>` | the tokenizer's end |

A dialogue's own system message takes the place of a template's. What an assistant says stands between `generation`
marks, from which trainers elsewhere learn what to predict.
"""

IMAGE = "<image>"
OWN = "own"  # the tokenizer's
V0_STOP = "###"
_HELPFUL = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions."
)
_TAGGED = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant is able to understand the "
    "visual content that the user provides, and assist the user with a variety of tasks using natural language."
    "The visual content will be provided with the following format: <Image>visual content</Image>."
)
_LANGUAGE_AND_VISION = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
SYSTEMS = {"plain": "", "v0": _HELPFUL, "v0_mmtag": _TAGGED, "v1": _HELPFUL, "llama_2": _LANGUAGE_AND_VISION}
_SAID = """\
{%- macro said(content) -%}
{%- if content is string -%}{{- content -}}{%- else -%}
{%- for part in content -%}
{{- "" if loop.first else "\\n" -}}{{- PICTURE if part["type"] == "image" else part["text"] -}}
{%- endfor -%}
{%- endif -%}
{%- endmacro -%}
"""
_AS_TEXT = """\
{%- set texts = namespace(turns=[]) -%}
{%- for message in messages -%}
{%- set texts.turns = texts.turns + [dict(message, content=said(message["content"]))] -%}
{%- endfor -%}
{%- set messages = texts.turns -%}
"""
_SYSTEM = """\
{%- set talk = namespace(system=SYSTEM, turns=messages) -%}
{%- if messages and messages[0]["role"] == "system" -%}
{%- set talk.system = said(messages[0]["content"]) -%}{%- set talk.turns = messages[1:] -%}
{%- endif -%}
"""
_TURNS = """\
{{- talk.system + SEPARATOR if talk.system else "" -}}
{%- for message in talk.turns -%}
{%- if message["role"] == "user" -%}{{- USER + ": " + said(message["content"]) + SEPARATOR -}}
{%- else -%}{{- ASSISTANT + ":" -}}
{%- generation -%}{{- " " + said(message["content"]) + STOP -}}{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- ASSISTANT + ":" -}}{%- endif -%}
"""
_PLAIN = """\
{{- talk.system -}}
{%- for message in talk.turns -%}
{%- if message["role"] == "user" -%}
{%- for part in message["content"] if part["type"] == "image" -%}{{- PICTURE -}}{%- endfor -%}
{%- else -%}{%- generation -%}{{- said(message["content"]) + STOP -}}{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}
"""
_LLAMA_2 = """\
{%- for message in talk.turns -%}
{%- if message["role"] == "user" -%}
{{- "" if loop.first else bos_token | default("") -}}{{- "[INST] " -}}
{{- "<<SYS>>\\n" + talk.system + "\\n<</SYS>>\\n\\n" if loop.first and talk.system else "" -}}
{{- said(message["content"]) + " [/INST]" -}}
{%- else -%}{%- generation -%}{{- " " + said(message["content"]) + " " + STOP -}}{%- endgeneration -%}
{%- endif -%}
{%- endfor -%}
"""
_END = "eos_token"
_TEXTS = {  # of a template: its body, and what the names in it stand for
    "plain": (_PLAIN, {"STOP": '"\\n"'}),
    "v0": (_TURNS, {"USER": '"Human"', "ASSISTANT": '"Assistant"', "SEPARATOR": '"###"', "STOP": '"###"'}),
    "v1": (_TURNS, {"USER": '"USER"', "ASSISTANT": '"ASSISTANT"', "SEPARATOR": '" "', "STOP": _END}),
    "llama_2": (_LLAMA_2, {"STOP": _END}),
}
TEMPLATES = (*SYSTEMS, OWN)


def chat_template(name: str, system: str | None = None, image: str = IMAGE) -> str:
    """The Jinja text of a conversation template.

    Args:
        name: One of the table's.
        system: What is said before the first turn; the template's own by default, empty for nothing.
        image: The placeholder of a picture.

    Raises:
        ValueError: No such template.
    """
    if name not in SYSTEMS:
        raise ValueError(f"no conversation template '{name}': known are {', '.join(TEMPLATES)}")
    body, names = _TEXTS["v0" if name == "v0_mmtag" else name]
    picture = f"<Image>{image}</Image>" if name == "v0_mmtag" else image
    said = SYSTEMS[name] if system is None else system
    values = {"SYSTEM": _quoted(said), "PICTURE": _quoted(picture), **names}
    settings = "".join(f"{{%- set {key} = {value} -%}}\n" for key, value in values.items())
    return settings + _SAID + _SYSTEM + body


def text_template(own: str, image: str = IMAGE) -> str:
    """A language model's own chat template, which knows text alone, for content parts: each picture its placeholder."""
    return f"{{%- set PICTURE = {_quoted(image)} -%}}\n{_SAID}{_AS_TEXT}{own}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
