/** @file The points of a run's curves: read once, and after that only what is new. */
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { type Runs, type Training, trainingAfter } from "../api.ts";

/** @param every milliseconds between questions; false for a run that does not go on */
export function usePoints({ id, latest }: Runs["runs"][number], every: number | false) {
  const client = useQueryClient();
  const query = useQuery({
    queryKey: ["training", id],
    queryFn: async ({ signal }): Promise<Training> => {
      const before = client.getQueryData<Training>(["training", id])?.points ?? [];
      const { points, ...run } = await trainingAfter(id, before.at(-1)?.step ?? -1, signal);
      return { ...run, points: [...before, ...points] };
    },
    refetchInterval: every,
    structuralSharing: false,
    staleTime: 0,
  });
  const last = query.data?.points.at(-1)?.step;
  const startedAnew = last !== undefined && latest !== undefined && latest.step < last;
  // A run that is resumed goes back to its checkpoint; what came after it is gone.
  const rewound = startedAnew && !query.isFetching;
  useEffect(() => {
    if (rewound) void client.resetQueries({ queryKey: ["training", id] });
  }, [rewound, client, id]);
  return query;
}
