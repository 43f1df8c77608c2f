// Package market has synthetic prices: a price is a pure function of symbol and
// time. Two clients, two replicas and a client that comes back see the same
// market, and the replay of missed ticks is arithmetic.
package market

import (
	"hash/fnv"
	"math"
)

// A Tick is the price at one moment.
type Tick struct {
	Symbol    string  `json:"symbol"`
	Price     float64 `json:"price"`     // above zero, two decimals
	Delta     float64 `json:"delta"`     // against the tick before
	Timestamp int64   `json:"timestamp"` // Unix ms
}

// At returns tick number n of the symbol, the number of intervals (in ms) since
// the epoch.
func At(symbol string, n, interval int64) Tick {
	price := Price(symbol, n*interval)
	return Tick{
		Symbol:    symbol,
		Price:     price,
		Delta:     cents(price - Price(symbol, (n-1)*interval)),
		Timestamp: n * interval,
	}
}

// usual prices, so that the well-known look like themselves.
var usual = map[string]float64{"BTC": 40_000, "ETH": 2_500}

// The price is a base times e to a sum of smooth noises, each with four times
// the period of the one before and twice its amplitude, as a random walk has.
const (
	octaves        = 11    // the slowest takes five days
	fastestPeriod  = 400.0 // ms
	fastestSwing   = 0.0002
	periodsPerNext = 4
)

// Price returns the price of the symbol at a Unix time in ms.
func Price(symbol string, ms int64) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(symbol)) // never fails
	seed := mix(h.Sum64())
	base, ok := usual[symbol]
	if !ok {
		base = 20 * math.Exp(6*unit(seed)) // 20 to 8,000
	}
	period, swing, sum := fastestPeriod, fastestSwing, 0.0
	for octave := range uint64(octaves) {
		sum += swing * noise(mix(seed+octave), float64(ms)/period)
		period *= periodsPerNext
		swing *= math.Sqrt(periodsPerNext)
	}
	return cents(base * math.Exp(sum))
}

// noise is a smooth curve through a random value from -1 to 1 at each whole x.
func noise(seed uint64, x float64) float64 {
	whole := math.Floor(x)
	t := x - whole
	t = t * t * (3 - 2*t)
	from := unit(mix(seed ^ uint64(int64(whole))))
	to := unit(mix(seed ^ uint64(int64(whole)+1)))
	return 2*(from+t*(to-from)) - 1
}

// unit maps a hash to [0, 1).
func unit(hash uint64) float64 { return float64(hash>>11) / (1 << 53) }

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// cents rounds to two decimals; adding zero makes -0 a plain 0.
func cents(x float64) float64 { return math.Round(x*100)/100 + 0 }
