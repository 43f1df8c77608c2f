# Varnish in front of sse-demo. What matters to event streams is commented.
vcl 4.1;

backend default {
    .host = "sse-demo-1:8000";
    .connect_timeout = 2s;
    .first_byte_timeout = 60s;
    .between_bytes_timeout = 60s; # of silence: four heartbeats
}

sub vcl_recv {
    # Not cached, and no client waits for the response to another. The path counts, too:
    # curl and fetch need not send Accept.
    if (req.url ~ "^/stream/" || req.http.Accept ~ "text/event-stream") {
        return (pass);
    }
}

sub vcl_backend_response {
    if (beresp.http.Content-Type ~ "^text/event-stream") {
        set beresp.uncacheable = true;
        set beresp.do_stream = true; # pass on each piece at once
        set beresp.do_gzip = false;
    }
}
