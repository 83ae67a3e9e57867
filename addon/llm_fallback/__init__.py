"""Runs the LLM fallback of Alibaba Cloud ASM and Istio YAML inside mitmproxy."""
