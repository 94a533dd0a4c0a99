"""Finds a short tour over the stops of a day's parcels: nearest neighbour, then 2-opt."""

ROUNDS = 5


def route_parcels(stops, seed):
    """The order in which to visit `stops` points that follow from `seed`."""
    points = [((seed * 31 + stop * 173) % 997, (seed * 17 + stop * 71) % 991)
              for stop in range(stops * 2)]
    tour = nearest_neighbour(points)
    for _ in range(ROUNDS):
        tour = improve_tour(points, tour)
    return tour


def nearest_neighbour(points):
    left = set(range(1, len(points)))
    tour = [0]
    while left:
        here = points[tour[-1]]
        tour.append(min(left, key=lambda stop: distance(here, points[stop])))
        left.remove(tour[-1])
    return tour


def improve_tour(points, tour):
    best = tour
    best_length = tour_length(points, tour)
    for start in range(1, len(tour) - 1):
        for end in range(start + 1, len(tour)):
            candidate = best[:start] + best[start:end][::-1] + best[end:]
            length = tour_length(points, candidate)
            if length < best_length:
                best, best_length = candidate, length
    return best


def tour_length(points, tour):
    return sum(distance(points[a], points[b]) for a, b in zip(tour, tour[1:]))


def distance(a, b):
    return abs(a[0] - b[0]) + abs(a[1] - b[1])
