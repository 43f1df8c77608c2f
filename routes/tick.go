package routes

import (
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/sse-demo/sse"
)

type tickParams struct {
	Wait     *int   `query:"wait" validate:"omitnil,min=0,max=60000"` // ms
	Symbol   string `query:"symbol" validate:"symbol"`
	Interval int    `query:"interval" validate:"min=100,max=10000"` // ms
}

// tick streams the price of a symbol.
func (s *Server) tick(c echo.Context) error {
	p := tickParams{Symbol: "BTC", Interval: 1000}
	if err := s.bindQuery(c, &p); err != nil {
		return err
	}
	return s.stream(c, tickStream, p.Wait, func(lastEventID string) (sse.Source, error) {
		interval := time.Duration(p.Interval) * time.Millisecond
		return s.market.Follow(strings.ToUpper(p.Symbol), interval, lastEventID), nil
	})
}
