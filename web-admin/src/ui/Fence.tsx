/**
 * Keeps the failure of one part of a page to that part.
 *
 * The box serves its pages with half of itself broken; a page must not be worse than the box.
 */
import { Button, Stack } from '@mantine/core';
import { QueryErrorResetBoundary } from '@tanstack/react-query';
import { Component, type ReactNode, Suspense } from 'react';
import { useTranslation } from 'react-i18next';

import { ProblemLine } from './ProblemLine';
import { Waiting } from './Waiting';

export function Fence({ children }: { children: ReactNode }) {
  return (
    <QueryErrorResetBoundary>
      {({ reset }) => (
        <Boundary onAgain={reset}>
          <Suspense fallback={<Waiting />}>{children}</Suspense>
        </Boundary>
      )}
    </QueryErrorResetBoundary>
  );
}

interface Props {
  onAgain: () => void;
  children: ReactNode;
}

class Boundary extends Component<Props, { error: unknown }> {
  override state = { error: null };

  static getDerivedStateFromError(error: unknown) {
    return { error };
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return <Failed error={this.state.error} onAgain={() => this.#again()} />;
  }

  #again() {
    this.props.onAgain();
    this.setState({ error: null });
  }
}

function Failed({ error, onAgain }: { error: unknown; onAgain: () => void }) {
  const { t } = useTranslation();
  return (
    <Stack align="flex-start">
      <ProblemLine error={error} />
      <Button variant="light" onClick={onAgain}>
        {t('ui.again')}
      </Button>
    </Stack>
  );
}
