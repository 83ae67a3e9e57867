"""Effect: the attempts of a request, over pooled connections to the providers. Knows nothing of mitmproxy."""
