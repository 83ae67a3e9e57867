"""The blocks of a DestinationRule as a target has them; what Istio's generated configuration would say."""

from llm_fallback.config.snapshot import (
    IDLE_TIMEOUT_S,
    LARGEST_TABLE,
    Algorithm,
    ConnectionPool,
    HashPolicy,
    HashSource,
    LoadBalancing,
    Tls,
    Warmup,
)
from llm_fallback.outlier import OutlierPolicy
from llm_fallback.resources.connectionpool import ConnectionPoolSettings
from llm_fallback.resources.destinationrule import (
    ClientTlsSettings,
    OutlierDetection,
    TlsMode,
)
from llm_fallback.resources.loadbalancer import ConsistentHash, LoadBalancerSettings, SimpleLb

_RING_SIZE = 1024  # Istio's default; Envoy has the same
_ALGORITHMS = {
    SimpleLb.ROUND_ROBIN: Algorithm.ROUND_ROBIN,
    SimpleLb.RANDOM: Algorithm.RANDOM,
}


def tls(host: str, settings: ClientTlsSettings | None, alt_names: tuple[str, ...]) -> Tls | None:
    """TLS towards a host; None for plain text."""
    if settings is None or settings.mode is TlsMode.DISABLE:
        return None
    ca_file = settings.ca_certificates
    is_mutual = settings.mode is TlsMode.MUTUAL
    return Tls(
        sni=settings.sni or host,
        names=tuple(settings.subject_alt_names) or alt_names or (host,),
        ca_file=None if ca_file == "system" else ca_file,
        verify=not settings.insecure_skip_verify,
        certificate_file=settings.client_certificate if is_mutual else None,
        key_file=settings.private_key if is_mutual else None,
    )


def outlier_policy(settings: OutlierDetection) -> OutlierPolicy:
    """When endpoints are ejected."""
    defaults = OutlierPolicy()
    codes = settings.outlier_detection_http_error_codes
    return OutlierPolicy(
        consecutive_5xx=settings.consecutive_5xx_errors,
        consecutive_gateway=settings.consecutive_gateway_errors,
        split_local_origin=settings.split_external_local_origin_errors,
        # 0 and unset are the same to Istio's converter here and for the percentage: Envoy's default.
        consecutive_local_origin=settings.consecutive_local_origin_failures
        or defaults.consecutive_local_origin,
        interval_s=settings.interval / 1000,
        base_ejection_s=settings.base_ejection_time / 1000,
        max_ejection_percent=settings.max_ejection_percent or defaults.max_ejection_percent,
        error_codes=frozenset(codes) if codes else None,
    )


def balancing(settings: LoadBalancerSettings | None) -> LoadBalancing:
    """How endpoints are chosen."""
    if settings is None:
        return LoadBalancing()
    warmup = _warmup(settings)
    if settings.consistent_hash is None:
        algorithm = _ALGORITHMS.get(settings.simple or SimpleLb.UNSPECIFIED, Algorithm.LEAST_REQUEST)
        return LoadBalancing(algorithm, warmup=warmup)
    written = settings.consistent_hash
    if written.maglev is not None:
        size = min(written.maglev.table_size, LARGEST_TABLE)
        return LoadBalancing(Algorithm.MAGLEV, _hash_policy(written), size, warmup)
    ring = written.ring_hash.minimum_ring_size if written.ring_hash else written.minimum_ring_size
    size = min(ring or _RING_SIZE, LARGEST_TABLE)
    return LoadBalancing(Algorithm.RING_HASH, _hash_policy(written), size, warmup)


def pool(settings: ConnectionPoolSettings | None) -> ConnectionPool:
    """Limits on connections and requests."""
    if settings is None:
        return ConnectionPool()
    tcp, http = settings.tcp, settings.http
    defaults = ConnectionPool()
    idle = IDLE_TIMEOUT_S
    if http and http.idle_timeout is not None:
        idle = http.idle_timeout / 1000
    elif tcp and tcp.idle_timeout is not None:
        idle = tcp.idle_timeout / 1000
    connect = tcp.connect_timeout / 1000 if tcp and tcp.connect_timeout else defaults.connect_timeout_s
    duration = tcp.max_connection_duration if tcp else None
    return ConnectionPool(
        connect_timeout_s=connect,
        idle_timeout_s=idle or None,
        max_connections=(tcp.max_connections or None) if tcp else None,
        max_pending_requests=(http.http1_max_pending_requests or None) if http else None,
        max_requests=(http.http2_max_requests or None) if http else None,
        max_retries=(http.max_retries or None) if http else None,
        max_requests_per_connection=http.max_requests_per_connection if http else 0,
        max_connection_duration_s=duration / 1000 if duration else None,
    )


def _warmup(settings: LoadBalancerSettings) -> Warmup | None:
    if settings.warmup is not None:
        written = settings.warmup
        return Warmup(written.duration / 1000, written.aggression or 1.0, written.minimum_percent or 10.0)
    if settings.warmup_duration_secs is not None:
        return Warmup(settings.warmup_duration_secs / 1000)
    return None


def _hash_policy(written: ConsistentHash) -> HashPolicy | None:
    if written.http_header_name:
        return HashPolicy(HashSource.HEADER, written.http_header_name.lower())
    if written.http_query_parameter_name:
        return HashPolicy(HashSource.QUERY_PARAMETER, written.http_query_parameter_name)
    if written.http_cookie:
        cookie = written.http_cookie
        ttl = None if cookie.ttl is None else cookie.ttl / 1000
        return HashPolicy(HashSource.COOKIE, cookie.name, cookie.path or "", ttl)
    return HashPolicy(HashSource.SOURCE_IP) if written.use_source_ip else None
