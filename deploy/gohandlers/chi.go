package gohandlers

import (
	"net/http"

	"github.com/go-chi/chi/v5"
)

func onChi(router chi.Router, events http.HandlerFunc) {
	router.Get("/events", events)
	router.Head("/events", events)
}
